// Which decoder writes with a model: the CPU's, the one for models that fit a workgroup, or the general one.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { Preparation } from "../device/prepare.ts";
import { isLikeMicrogpt } from "../model/engines.ts";
import type { Dims } from "../model/parameters.ts";
import { smallTuning } from "../small/ops.ts";
import { CpuDecoder } from "./cpu_decoder.ts";
import type { Decoder } from "./decoder.ts";
import { GpuDecoder } from "./gpu_decoder.ts";
import { SmallDecoder } from "./small_decoder.ts";

/**
 * A decoder with weights of its own.
 * @param device undefined for the CPU
 * @param params flat, in the table's order without gaps
 * @param progress told how far the device is with what it has to compile
 */
export async function createDecoder(
  device: Device | undefined,
  config: Config,
  dims: Dims,
  params: Float64Array,
  progress?: Preparation["progress"],
): Promise<Decoder> {
  if (!device) return new CpuDecoder(config, dims, params);
  const small = isLikeMicrogpt(config) ? smallTuning(device, dims) : undefined;
  return small
    ? SmallDecoder.fromValues(device, config, dims, params, small, progress)
    : GpuDecoder.fromValues(device, config, dims, params, progress);
}
