// Which trainer serves: the CPU's, the one for models that fit a workgroup, or the general one.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { Dims } from "../model/parameters.ts";
import { MAX_FLOAT_INTEGER } from "../model/small_data.ts";
import { smallTuning } from "../model/small_ops.ts";
import { CpuTrainer } from "./cpu_trainer.ts";
import { GpuTrainer } from "./gpu_trainer.ts";
import { SmallTrainer } from "./small_trainer.ts";
import type { Trainer } from "./trainer.ts";

/**
 * @param device undefined for the CPU
 * @param params flat, in the table's order without gaps; the CPU's trainer updates them in place
 * @throws TensorTooLargeError before anything is allocated
 */
export async function createTrainer(
  device: Device | undefined,
  config: Config,
  dims: Dims,
  params: Float64Array,
  sequences: readonly Int32Array[],
): Promise<Trainer> {
  if (!device) return new CpuTrainer(config, dims, params, sequences);
  const tuning = smallTuning(device, dims);
  if (tuning && sequences.length <= MAX_FLOAT_INTEGER)
    return SmallTrainer.create(device, config, dims, params, sequences, tuning);
  return GpuTrainer.create(device, config, dims, params, sequences);
}
