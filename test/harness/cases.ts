// Doctor's cases as tests.

import { expect, test } from "vitest";
import { runCase } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { device, variants } from "./device.ts";

/** A test for each case of the kernels that are wanted, on every choice of kernels that the device can run. */
export function testCases(wanted: (kernel: string) => boolean): void {
  for (const kernelCase of kernelCases().filter(({ kernel }) => wanted(kernel))) {
    test(`${kernelCase.kernel}: ${kernelCase.name}`, async () => {
      const result = await runCase(device, variants, kernelCase);
      expect(result.pass || result).toBe(true); // the whole result is shown if it fails
    });
  }
}
