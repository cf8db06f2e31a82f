// How many of a step's documents or windows `auto` takes at a time: as many as there is memory for. The step stays what
// it is; gradients of its micro-batches are summed.

import { platform } from "#platform";
import type { Config, ConfigChoice } from "../config.ts";
import { count } from "../count.ts";
import type { Device } from "../device/device.ts";
import { allocateTensors, checkTensors, destroyTensors, type Tensor } from "../device/tensors.ts";
import { GpuError, TensorTooLargeError } from "../errors.ts";
import { mergedConfig } from "../model/adapters.ts";
import { frozenLayouts } from "../model/linear.ts";
import { hostBytes } from "../model/memory.ts";
import type { Dims } from "../model/parameters.ts";
import { planTexts, writingSizes } from "../model/text_plan.ts";
import { planStep } from "../model/step_plan.ts";
import type { SmallTuning } from "../small/ops.ts";
import { trainingBytes } from "./needs.ts";

type Batch = Pick<Config, "batch_size" | "grad_accumulation">;

/** A config whose step is one batch, where its batch is open. */
export function inOneBatch<C extends Pick<ConfigChoice, keyof Batch>>(
  config: C,
): C & Pick<Config, "batch_size"> {
  const { batch_size, grad_accumulation } = config;
  if (batch_size !== "auto") return { ...config, batch_size };
  return { ...config, batch_size: grad_accumulation, grad_accumulation: 1 };
}

/**
 * The config with its step in as few micro-batches of one size as there is memory for, and why, as one sentence without
 * its full stop that begins with the size.
 * @param config whose step is one batch
 * @param device undefined for the CPU
 * @param small how one workgroup trains the model, if it does: it needs no memory for that
 */
export async function chooseBatch(
  device: Device | undefined,
  config: Config,
  dims: Dims,
  small?: SmallTuning,
): Promise<{ config: Config; batch_reason: string }> {
  const all = config.batch_size * config.grad_accumulation;
  const place = device ? device.name : "the CPU";
  let last = config;
  for (const batch_size of divisors(all)) {
    last = { ...config, batch_size, grad_accumulation: all / batch_size };
    if (!small && !(await fits(device, last, dims))) continue;
    const why =
      batch_size === all ? `all of a step fits` : `no more of a step's ${count(all)} fits`;
    return { config: last, batch_reason: `${count(batch_size)}: ${why} ${place}` };
  }
  return { config: last, batch_reason: `1: not even that may fit ${place}` };
}

/** The largest first. */
function* divisors(all: number): Iterable<number> {
  const small: number[] = [];
  for (let n = 1; n * n <= all; n++) if (all % n === 0) small.push(n);
  for (const n of small) yield all / n;
  for (const n of small.toReversed()) if (n * n < all) yield n;
}

/**
 * Whether there is memory for training and for writing. Of a GPU in software and of the CPU it is known how much there
 * is; other GPUs are asked for it.
 */
async function fits(device: Device | undefined, config: Config, dims: Dims): Promise<boolean> {
  if (!device) return hostBytes(config, dims, "cpu") <= platform.memory();
  const { layout, table, groups } = planStep(device, config, dims);
  const read = dims.adapters ? frozenLayouts(dims).all : layout;
  const writing = planTexts(device, mergedConfig(config), read, writingSizes(config));
  try {
    checkTensors(device, [...layout.slices, ...table, ...writing.table]);
    if (device.software) {
      const bytes = trainingBytes(config, dims, device) + hostBytes(config, dims, "webgpu");
      return bytes <= platform.memory();
    }
    const held: Record<string, Tensor>[] = [];
    try {
      held.push(await allocateTensors(device, table, groups));
      held.push(await allocateTensors(device, writing.table));
    } finally {
      held.forEach(destroyTensors);
    }
    return true;
  } catch (error) {
    if (error instanceof TensorTooLargeError || error instanceof GpuError) return false;
    throw error;
  }
}
