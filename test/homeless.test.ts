// Users that have no home folder: nothing is remembered, which is told, and nothing fails for it.

import { afterAll, beforeEach, expect, test, vi } from "vitest";
import type { Platform } from "../src/platform/platform.ts";

const homedir = vi.fn<() => string>();
vi.doMock("node:os", async (original) => ({ ...(await original<object>()), homedir }));
// A copy of its own: the platform that other files of this process use stays as it is.
const copy = "../src/platform/platform.node.ts?homeless";
const { platform }: { platform: Platform } = await import(/* @vite-ignore */ copy);
vi.doUnmock("node:os");

beforeEach(() => {
  homedir.mockClear();
  for (const name of ["MICROGPT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"]) vi.stubEnv(name, "");
  homedir.mockImplementation(() => {
    throw new Error("A system error occurred: uv_os_homedir returned ENOENT");
  });
});
afterAll(() => vi.unstubAllEnvs());

test("without a home folder nothing is remembered, and the way out is told", async () => {
  const told = /^there is no home folder; MICROGPT_CACHE_DIR can name a place$/;
  expect(await platform.remember("kernels.json", "{}")).toMatch(told);
  expect(await platform.recall("kernels.json")).toBeUndefined();
  expect(platform.memoryPlace("kernels.json")).toBe("the user's cache folder");
  homedir.mockReturnValue("");
  expect(await platform.remember("kernels.json", "{}")).toMatch(told);
});

test("a place that is named needs no home folder", () => {
  vi.stubEnv("XDG_CACHE_HOME", "/caches");
  expect(platform.memoryPlace("kernels.json")).toBe("/caches/microgpt-webgpu/kernels.json");
  vi.stubEnv("MICROGPT_CACHE_DIR", "/mine");
  expect(platform.memoryPlace("kernels.json")).toBe("/mine/kernels.json");
  expect(homedir).not.toHaveBeenCalled();
});
