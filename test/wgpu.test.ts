// A share of doctor's checks on the second implementation of WebGPU: wgpu, with the WGSL compiler naga, through Deno.

import { expect, test } from "vitest";
import { kernelCases } from "../src/verify/kernel_cases.ts";
import { parseLines } from "./cli/fake_io.ts";
import { findDeno, finish, startDeno } from "./harness/deno.ts";

test.runIf(findDeno())(
  "every kernel is right on wgpu",
  async () => {
    const { code, stdout, stderr } = await finish(startDeno("test/harness/wgpu_rows.ts", []));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [{ name }, ...results] = parseLines(stdout);
    expect(name).toMatch(/ through wgpu$/);
    expect(results.filter(({ pass }) => !pass)).toEqual([]);
    const kernels = new Set(kernelCases().map(({ kernel }) => kernel));
    kernels.delete("small_train");
    expect(results.map(({ kernel }) => kernel)).toEqual([...kernels]);
  },
  300_000,
);
