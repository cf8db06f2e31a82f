// Doctor's cases as tests.

import { expect, test } from "vitest";
import { runCase } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { device, variants } from "./device.ts";

/**
 * A test for each case of the kernels that are wanted, on every choice of kernels that the device can run.
 * @param every one in so many of an operation's cases
 */
export function testCases(wanted: (kernel: string) => boolean, every = 1): void {
  for (const kernelCase of kernelCases()) {
    const { kernel, name, place } = kernelCase;
    if (!wanted(kernel) || place! % every > 0) continue;
    test(`${kernel}: ${name}`, async () => {
      const result = await runCase(device, variants, kernelCase);
      expect(result.pass || result).toBe(true); // the whole result is shown if it fails
    });
  }
}

/** What compiles for long runs whole in Node, and in the browser one case in so many of each operation. */
export const SHARE_IN_BROWSER = "document" in globalThis ? 5 : 1;
