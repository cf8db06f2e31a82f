// Frozen weights on their way to the GPU, a few at a time: the whole of them is in main memory once.

import type { Device } from "../device/device.ts";
import { sliceTensor, type Tensor, writeTensor } from "../device/tensors.ts";
import { frozenDims } from "../model/adapters.ts";
import { frozenOf } from "../model/linear.ts";
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
