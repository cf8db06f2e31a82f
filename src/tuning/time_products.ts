// Times the kernels that can make a product, on random numbers, on the device at hand.

import type { Device } from "../device/device.ts";
import { Schedule } from "../device/schedule.ts";
import { allocateTensors, destroyTensors, fillRandom } from "../device/tensors.ts";
import { timeSchedules } from "../device/timing.ts";
import {
  product,
  type ProductShape,
  type ProductTensors,
  type ProductVariant,
} from "../model/product.ts";
import type { Times } from "./memory.ts";

/** A measurement takes about this long where the device makes so many operations a second. */
const LENGTH_S = 0.002;
const FLOPS = 1e13;
/** Calls of a kernel in one measurement at most. */
const MOST_CALLS = 32;
const REPETITIONS = 3;

/**
 * Milliseconds of every tile that can serve a shape, and of the fastest one's other numbers of parts.
 * @throws GpuError if the device fails or has not enough memory
 */
export async function timeProducts(
  device: Device,
  shape: ProductShape,
  variants: readonly ProductVariant[],
): Promise<Times> {
  const { M, N, K, pair, half, epilogue } = shape;
  const planes = Math.max(...variants.map(({ splits }) => splits));
  const dtype = (name: keyof ProductTensors) => (half.includes(name) ? "f16" : undefined);
  const tensors = await allocateTensors(device, [
    { name: "out", shape: [M, N], dtype: dtype("out") },
    { name: "out2", shape: [pair ? planes : 1, K, N], sliced: true },
    { name: "a", shape: [M, K], dtype: dtype("a") },
    { name: "b", shape: [K, N], dtype: dtype("b") },
    { name: "b2", shape: [M, N], dtype: dtype("b2") },
    { name: "extra", shape: [M, N], dtype: dtype("extra") },
  ]);
  const { out, out2, a, b, b2, extra } = tensors;
  for (const tensor of [a, b, b2, extra]) fillRandom(device, tensor);
  // Only what a step binds: with another type in a place that is not read, it would be another pipeline.
  const reads = epilogue === "residual" || epilogue.endsWith("_backward");
  const bound = { out, a, b, ...(pair && { out2, b2 }), ...(reads && { extra }) };
  const calls = Math.ceil((LENGTH_S * FLOPS) / (2 * M * N * K * (pair ? 2 : 1)));
  const count = Math.min(calls, MOST_CALLS);
  const time = async (variant: ProductVariant) => {
    const dispatch = product(device, shape, variant, bound, K * N);
    const schedule = await Schedule.create(device, Array(count).fill(dispatch));
    const [ms] = await timeSchedules(device, [schedule], REPETITIONS);
    schedule.destroy();
    return ms / count;
  };

  const times: Times = {};
  try {
    const tiles = Map.groupBy(variants, ({ kernel, tile }) => `${kernel} ${tile}`);
    for (const [first] of tiles.values()) times[first.name] = await time(first);
    const best = fastest(variants, times)!;
    for (const variant of tiles.get(`${best.kernel} ${best.tile}`)!) {
      times[variant.name] ??= await time(variant);
    }
  } finally {
    destroyTensors(tensors);
  }
  return times;
}

/** The one that took least; undefined where none of them was timed. */
export function fastest(
  variants: readonly ProductVariant[],
  times: Times,
): ProductVariant | undefined {
  const timed = variants.filter(({ name }) => Object.hasOwn(times, name));
  return timed.length === 0
    ? undefined
    : timed.reduce((best, variant) => (times[variant.name] < times[best.name] ? variant : best));
}
