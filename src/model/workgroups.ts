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
  const exact = powerOfTwo(width / 128);
  return Math.min(256, Math.max(exact, Math.min(usual, Math.max(powerOfTwo(width), 4))));
}

/** The next one, from 1 on. */
export function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(count, 1)));
}

/** One thread an element. */
export function elements(device: Device, count: number): { WG: number; grid: Dispatch["grid"] } {
  const WG = 64;
  return { WG, grid: gridOf(device, Math.ceil(count / WG)) };
}
