// Frozen weights on a GPU: what of them is bound at once, and their way there, a few at a time, so that the whole of them
// is in main memory once.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import {
  checkTensors,
  sliceTensor,
  type Tensor,
  type TensorSpec,
  writeTensor,
} from "../device/tensors.ts";
import { TensorTooLargeError } from "../errors.ts";
import { frozenDims } from "../model/adapters.ts";
import { tablePieces } from "../model/classifier.ts";
import { frozenLayouts, frozenOf } from "../model/linear.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";

/** Numbers that are written at a time. */
const PIECE = 2 ** 24;

/** @param values flat, in the order of frozenDims()'s table without gaps */
export async function writeFrozen(
  device: Device,
  dims: Dims,
  tensors: Record<string, Tensor>,
  values: Float32Array | Float64Array,
): Promise<void> {
  const frozen = frozenOf(dims, tensors);
  if (!frozen) return;
  const { layout, weights, gains, gainLayout } = frozen;
  await writeFlat(device, weights, layout, dims, values);
  if (gains !== weights) await writeFlat(device, gains, gainLayout, dims, values);
}

async function writeFlat(
  device: Device,
  tensor: Tensor,
  to: ParameterLayout,
  dims: Dims,
  values: Float32Array | Float64Array,
): Promise<void> {
  const from = new ParameterLayout(frozenDims(dims));
  // What follows another without a gap is written with it: its own place may be none where a write can start.
  const runs: { from: number; to: number; size: number }[] = [];
  for (const { name, offset, size } of to.slices) {
    const last = runs.at(-1);
    if (last && offset % PARAMETER_ALIGNMENT > 0) last.size += size;
    else runs.push({ from: from.slice(name).offset, to: offset, size });
  }
  for (const run of runs) {
    for (let done = 0; done < run.size; done += PIECE) {
      const size = Math.min(PIECE, run.size - done);
      const part = values.subarray(run.from + done, run.from + done + size);
      const place = { name: tensor.name, shape: [size], offset: run.to + done, size };
      const numbers = part instanceof Float32Array ? part : Float32Array.from(part);
      writeTensor(device, sliceTensor(tensor, place), numbers);
      if (size < PIECE) continue;
      device.gpu.queue.submit([]);
      await device.gpu.queue.onSubmittedWorkDone(); // what carries them can be used again
    }
  }
}

/** What of the frozen weights is bound at once: of large tables a piece, where their sums need no norm. */
export function boundAtOnce(device: Device, config: Config, dims: Dims): TensorSpec[] {
  const half = isHalf(config.dtype);
  const [{ count }] = tablePieces(device, dims, half);
  return frozenLayouts(dims).all.slices.map(({ name, shape }) => {
    const inPieces = name === "lm_head" || (name === "wte" && !config.embedding_norm);
    const bound = inPieces ? [count, dims.C] : shape;
    return { name, shape: bound, ...(half && { dtype: "f16" as const }) };
  });
}

/** @throws TensorTooLargeError where the device trains the model, but cannot write with it: that is done in f32 */
export function checkWriting(device: Device, { slices }: ParameterLayout): void {
  try {
    checkTensors(device, slices);
  } catch (error) {
    if (!(error instanceof TensorTooLargeError)) throw error;
    throw new TensorTooLargeError(
      `The device could train the adapters, but not write with the model. ${error.message} Or choose a num_samples of 0, ` +
        `and write elsewhere.`,
    );
  }
}
