// What kernels share, and how it gets to them.

import { platform } from "#platform";
import { expect, test } from "vitest";
import { giveConstants, giveHalves } from "../src/device/kernels.ts";
import { filesOf, kernelNames, link } from "../src/device/link.ts";
import { pipelineSpec } from "../src/device/schedule.ts";
import { unroll } from "../src/device/unroll.ts";
import { dispatchesOf } from "./harness/dispatches.ts";
import { openNowhere } from "./harness/nowhere.ts";

const shaders = platform.shaders();

test("a kernel's text comes first, then each piece once, those that pieces name too", () => {
  const sources = {
    other: "// with: d",
    kernel: "enable f16;\n// Says what it is.\n// with: b, c\n// reference: kernel()",
    "pieces/a": "A",
    "pieces/b": "// B\n// with: a, c",
    "pieces/c": "// with: b\nC",
    "pieces/d": "D",
  };
  expect(filesOf(sources, "kernel")).toEqual(["kernel", "pieces/b", "pieces/c", "pieces/a"]);
  expect(link(sources, "kernel")).toBe(
    [sources.kernel, sources["pieces/b"], sources["pieces/c"], "A"].join("\n"),
  );
  expect(kernelNames(sources)).toEqual(["kernel", "other"]);
});

test.each([
  [
    { kernel: "// with: a, b", "pieces/a": "" },
    "kernel.wgsl names b, but there is no pieces/b.wgsl",
  ],
  [
    { kernel: "// with: a", "pieces/a": "// with: b" },
    "pieces/a.wgsl names b, but there is no pieces/b.wgsl",
  ],
  [{ kernel: "// with: constructor" }, "no pieces/constructor.wgsl"],
  [{ other: "" }, "there is no kernel kernel.wgsl"],
])("what is not there is named: %j", (sources: Record<string, string>, words) => {
  expect(() => link(sources, "kernel")).toThrow(RangeError);
  expect(() => link(sources, "kernel")).toThrow(words);
});

test("every piece is named by a kernel, and binds nothing", () => {
  const pieces = Object.keys(shaders).filter((name) => name.startsWith("pieces/"));
  expect(pieces.length).toBeGreaterThan(0);
  const used = kernelNames(shaders).flatMap((kernel) => filesOf(shaders, kernel));
  for (const piece of pieces) {
    expect(used).toContain(piece);
    expect(shaders[piece]).not.toMatch(/@group|@compute|^(enable|requires|diagnostic)\b/m);
  }
});

/** A pipeline is made, or is right but for what this device has little of. */
const beyond =
  /^made$|larger than the maximum allowed|must be a multiple of the device maxSubgroupSize/;

const device = await openNowhere();
const made = new Map<string, { kernel: string; code: string; overrides: Record<string, number> }>();
for (const { dispatch } of dispatchesOf(device)) {
  const { kernel, constants, halves } = pipelineSpec(dispatch);
  const text = giveHalves(device.kernels.source(kernel), halves);
  const { code, overrides } = giveConstants(text, constants);
  made.set(`${code} ${JSON.stringify(overrides)}`, { kernel, code, overrides });
}

test.each(device.kernels.names)(
  "%s.wgsl compiles with its pieces, in all its forms",
  async (name) => {
    const forms = [...made.values()].filter(({ kernel }) => kernel === name);
    expect(forms.length).toBeGreaterThan(0);
    for (const { code, overrides } of forms) {
      for (const text of new Set([code, unroll(code)])) {
        const module = device.gpu.createShaderModule({ code: text });
        const { messages } = await module.getCompilationInfo();
        expect(messages.filter(({ type }) => type === "error")).toEqual([]);
        const compute = { module, entryPoint: name, constants: overrides };
        const pipeline = device.gpu.createComputePipelineAsync({ layout: "auto", compute });
        expect(await pipeline.then(() => "made", String)).toMatch(beyond);
      }
    }
  },
);
