// Threads and workgroups of kernels that go through rows or elements.

import type { Device } from "../device/device.ts";
import { type Dispatch, gridOf } from "../device/schedule.ts";

/**
 * Threads of a workgroup that shares a row of `width`: no more than are needed, and no more than a
 * subgroup on software GPUs, whose barriers cost with each thread; but enough that none sums over
 * 128 numbers, so that float32 sums stay exact to 1e-6.
 */
export function rowThreads({ software }: Device, width: number): number {
  const usual = software ? 8 : 64;
  const needed = 2 ** Math.ceil(Math.log2(Math.max(width, 1)));
  const exact = 2 ** Math.ceil(Math.log2(Math.max(width / 128, 1)));
  return Math.min(256, Math.max(exact, Math.min(usual, Math.max(needed, 4))));
}

/** One thread an element. */
export function elements(device: Device, count: number): { WG: number; grid: Dispatch["grid"] } {
  const WG = 64;
  return { WG, grid: gridOf(device, Math.ceil(count / WG)) };
}
