// Runs in Node and in the browser: each platform gives a GPU and the shaders' texts.

import { platform } from "#platform";
import { expect, test } from "vitest";

test("the platform has a WebGPU adapter", async () => {
  const gpu = await platform.gpu();
  const adapter = await gpu?.requestAdapter();
  expect(adapter).toBeTruthy();
});
