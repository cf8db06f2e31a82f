// What a model needs of memory, before any of it is allocated.

import { TensorTooLargeError } from "../errors.ts";
import { sizeOf, type TensorSpec } from "../device/tensors.ts";
import { activationTable, gradientTable } from "./gpu_gpt.ts";
import { type Dims, parameterCount } from "./parameters.ts";

const elements = (table: readonly TensorSpec[]) =>
  table.reduce((sum, spec) => sum + sizeOf(spec), 0);

/** Numbers that a training step keeps: parameters, gradients, two moments, and activations. */
function stepElements(dims: Dims, B: number): number {
  // One layer's tables are enough to count: a damaged or absurd L makes no endless table.
  const layers = (L: number) => elements(activationTable({ ...dims, L }, B));
  const activations = layers(0) + dims.L * (layers(1) - layers(0));
  return 4 * parameterCount(dims) + activations + elements(gradientTable(dims, B));
}

/** Arrays as long as the parameters that a saved run has: they, and two moments. */
const SAVED = 3;

/**
 * Bytes of main memory that a run needs: on the CPU everything in float64, and a copy of what is saved; on the GPU
 * what is saved, in float32, and a buffer through which it is read. What carries the initial weights there takes as much.
 */
export function hostBytes(dims: Dims, B: number, device: "cpu" | "webgpu"): number {
  const saved = SAVED * parameterCount(dims);
  return {
    cpu: 8 * (stepElements(dims, B) + saved),
    webgpu: 4 * (saved + parameterCount(dims)),
  }[device];
}

/**
 * @param available bytes of main memory to be had
 * @throws TensorTooLargeError if the run needs more
 */
export function checkHostMemory(
  dims: Dims,
  B: number,
  device: "cpu" | "webgpu",
  available: number,
): void {
  const needed = hostBytes(dims, B, device);
  if (needed <= available) return;
  const gib = (bytes: number) =>
    `${(bytes / 2 ** 30).toLocaleString("en-US", { maximumFractionDigits: 1 })} GiB`;
  throw new TensorTooLargeError(
    `The model has ${parameterCount(dims).toLocaleString("en-US")} parameters and needs about ${gib(needed)} of main ` +
      `memory with a batch of ${B}, but ${gib(available)} can be had. Choose a smaller batch, context, width or ` +
      `number of layers.`,
  );
}
