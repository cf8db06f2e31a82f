// Times the kernels that can make a product, on random numbers, on the device at hand.

import type { Device } from "../device/device.ts";
import { type Dispatch, pipelineOf, Schedule } from "../device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  fillRandom,
  placeholders,
  type TensorSpec,
} from "../device/tensors.ts";
import { timeSchedules } from "../device/timing.ts";
import {
  product,
  type ProductShape,
  type ProductTensors,
  type ProductVariant,
} from "../model/product.ts";
import { groupBy } from "../group_by.ts";
import type { Times } from "./memory.ts";

/** A measurement takes at least this long, in ms: shorter ones are the clock's noise. */
const LENGTH_MS = 2;
/** Calls of a kernel in one measurement at most. */
const MOST_CALLS = 64;
const REPETITIONS = 3;
/** What the rule takes is displaced only by what is faster by more than this. */
const MARGIN = 0.03;

/** A product's tensors as a step has them: with another type in a place that is not read, it would be another pipeline. */
function tableOf({ M, N, K, pair, half, epilogue }: ProductShape, planes: number): Table {
  const reads = epilogue === "residual" || epilogue.endsWith("_backward");
  const table: Table = [
    { name: "out", shape: [M, N] },
    { name: "a", shape: [M, K] },
    { name: "b", shape: [K, N] },
  ];
  if (pair) table.push({ name: "out2", shape: [planes, K, N], sliced: true });
  if (pair) table.push({ name: "b2", shape: [M, N] });
  if (reads) table.push({ name: "extra", shape: [M, N] });
  return table.map((spec) => ({ ...spec, dtype: half.includes(spec.name) ? "f16" : undefined }));
}

type Table = (TensorSpec & { name: keyof ProductTensors })[];

/** The variants by their tiles: each of those is a pipeline, for any number of parts. */
function byTile(variants: readonly ProductVariant[]) {
  return groupBy(variants, ({ kernel, tile }) => `${kernel} ${tile}`);
}

/** A dispatch of every pipeline that timeProducts() will run, on tensors that have no buffers. */
export function productDispatches(
  device: Device,
  shape: ProductShape,
  variants: readonly ProductVariant[],
): Dispatch[] {
  const tensors = placeholders(tableOf(shape, 1)) as unknown as ProductTensors;
  const tiles = [...byTile(variants).values()];
  return tiles.map(([variant]) => product(device, shape, variant, tensors));
}

/**
 * Compiles them; what fails is told there. Before anything is timed: meanwhile the device idles, and is slow
 * afterwards.
 */
export async function prepareProducts(
  device: Device,
  dispatches: readonly Dispatch[],
): Promise<void> {
  await Promise.allSettled(dispatches.map((dispatch) => pipelineOf(device, dispatch)));
}

/**
 * Milliseconds of every tile that can serve a shape, and of the fastest one's other numbers of parts.
 * @throws GpuError if the device fails or has not enough memory
 */
export async function timeProducts(
  device: Device,
  shape: ProductShape,
  variants: readonly ProductVariant[],
): Promise<Times> {
  const { N, K } = shape;
  const planes = Math.max(...variants.map(({ splits }) => splits));
  const tensors = await allocateTensors(device, tableOf(shape, planes));
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!name.startsWith("out")) fillRandom(device, tensor);
  }
  let calls = 1;
  const run = async (variant: ProductVariant, count: number) => {
    const dispatch = product(device, shape, variant, tensors, { plane: K * N });
    const schedule = await Schedule.create(device, Array(count).fill(dispatch));
    const [ms] = await timeSchedules(device, [schedule], REPETITIONS);
    schedule.destroy();
    return ms;
  };
  /** With as many calls as the first measurement needed, so that all are measured alike. */
  const time = async (variant: ProductVariant) => {
    let ms = await run(variant, calls);
    while (ms < LENGTH_MS && calls < MOST_CALLS) {
      const more = Math.ceil((calls * 1.2 * LENGTH_MS) / Math.max(ms, 0.01));
      calls = Math.min(MOST_CALLS, Math.max(more, 2 * calls));
      ms = await run(variant, calls);
    }
    return ms / calls;
  };

  const times: Times = {};
  try {
    const tiles = byTile(variants);
    const [favourite] = variants;
    for (const [first] of tiles.values()) times[first.name] = await time(first);
    const best = fastest(variants, times)!;
    for (const variant of tiles.get(`${best.kernel} ${best.tile}`)!) {
      times[variant.name] ??= await time(variant);
    }
    // The one that was measured first may have met a slower clock.
    times[favourite.name] = Math.min(times[favourite.name], await time(favourite));
  } finally {
    destroyTensors(tensors);
  }
  return times;
}

/**
 * The one that took least, or the first, which the rule takes, if that is hardly slower; undefined where none of them
 * was timed.
 */
export function fastest(
  variants: readonly ProductVariant[],
  times: Times,
): ProductVariant | undefined {
  const timed = variants.filter(({ name }) => Object.hasOwn(times, name));
  if (timed.length === 0) return undefined;
  const best = timed.reduce((a, b) => (times[b.name] < times[a.name] ? b : a));
  const [favourite] = variants;
  const close = times[favourite.name] * (1 - MARGIN) <= times[best.name];
  return close ? favourite : best;
}
