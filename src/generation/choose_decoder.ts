// Which decoder writes with a model: the CPU's, the one for models that fit a workgroup, or the general one.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { isLikeMicrogpt } from "../model/engines.ts";
import type { Dims } from "../model/parameters.ts";
import { writingSizes } from "../model/text_plan.ts";
import { smallTuning } from "../small/ops.ts";
import { CpuDecoder } from "./cpu_decoder.ts";
import type { Decoder } from "./decoder.ts";
import { GpuDecoder, type GpuDecoding } from "./gpu_decoder.ts";
import { SmallDecoder } from "./small_decoder.ts";

/**
 * A decoder with weights of its own.
 * @param device undefined for the CPU
 * @param params flat, in the table's order without gaps
 * @param decoding on a GPU; as many texts at a time as the config has samples, but few, where num_slots is absent
 */
export async function createDecoder(
  device: Device | undefined,
  config: Config,
  dims: Dims,
  params: Float64Array,
  decoding: GpuDecoding = {},
): Promise<Decoder> {
  if (!device) return new CpuDecoder(config, dims, params);
  const all = { ...writingSizes(config), ...decoding };
  const small = isLikeMicrogpt(config) && !isHalf(all.dtype) && smallTuning(device, dims);
  return small
    ? SmallDecoder.fromValues(device, config, dims, params, small, all)
    : GpuDecoder.fromValues(device, config, dims, params, all);
}
