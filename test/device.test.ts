import { platform } from "#platform";
import { expect, test } from "vitest";

test("Node has a WebGPU adapter", async () => {
  const gpu = await platform.gpu();
  const adapter = await gpu?.requestAdapter();
  expect(adapter).toBeTruthy();
});
