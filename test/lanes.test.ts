// The kernels that software GPUs take, on eight lanes, as lavapipe has them by itself; all other tests run on four.

import { expect, test } from "vitest";
import { softwareLanes } from "../src/device/device.ts";
import { caseDispatches } from "../src/verify/case_dispatches.ts";
import { runCase } from "../src/verify/kernel_case.ts";
import { kernelCases } from "../src/verify/kernel_cases.ts";
import { device, variants } from "./harness/device.ts";

/** One in so many of an operation's cases: all kernels are the same ones as on four lanes. */
const SHARE = 4;

const [own] = variants;
const cases = kernelCases().filter(
  (kernelCase) =>
    kernelCase.place! % SHARE === 0 &&
    caseDispatches(kernelCase, [own]).some(({ dispatch }) => "LANES" in (dispatch.constants ?? {})),
);

test.runIf(softwareLanes(device) > 0).each(cases)("$kernel: $name", async (kernelCase) => {
  const result = await runCase(device, [own], kernelCase);
  expect(result.pass || result).toBe(true);
});

test("there are such cases wherever a GPU in software has lanes that are known", () => {
  const kernels = new Set(cases.map(({ kernel }) => kernel));
  expect(kernels.size > 5).toBe(softwareLanes(device) > 0);
});
