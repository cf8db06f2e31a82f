// What a model needs of memory, before any of it is allocated.

import type { Config } from "../config.ts";
import { TensorTooLargeError } from "../errors.ts";
import { sizeOf, type TensorSpec } from "../device/tensors.ts";
import type { ForwardConfig } from "./forward_config.ts";
import { type Dims, parameterCount } from "./parameters.ts";
import { activationTable, gradientTable } from "./tensor_tables.ts";

const elements = (table: readonly TensorSpec[]) =>
  table.reduce((sum, spec) => sum + sizeOf(spec), 0);

type Trained = ForwardConfig & Pick<Config, "batch_size">;

/** Numbers that a training step keeps: parameters, gradients, two moments, and activations. */
function stepElements(config: Trained, dims: Dims): number {
  const { batch_size: B } = config;
  // One layer's tables are enough to count: a damaged or absurd L makes no endless table.
  const layers = (L: number) => elements(activationTable(config, { ...dims, L }, B));
  const activations = layers(0) + dims.L * (layers(1) - layers(0));
  return 4 * parameterCount(dims) + activations + elements(gradientTable(config, dims, B));
}

/** Bytes of what a training step keeps on a GPU, in float32; what passes through and needs not stay shares memory there. */
export function stepBytes(config: Trained, dims: Dims): number {
  return 4 * stepElements(config, dims);
}

/** Arrays as long as the parameters that a saved run has: they, and two moments. */
const SAVED = 3;

/**
 * Bytes of main memory that a run needs: on the CPU everything in float64, and a copy of what is saved; on the GPU
 * what is saved, in float32, and a buffer through which it is read. What carries the initial weights there takes as much.
 */
export function hostBytes(config: Trained, dims: Dims, device: "cpu" | "webgpu"): number {
  const saved = SAVED * parameterCount(dims);
  return {
    cpu: 8 * (stepElements(config, dims) + saved),
    webgpu: 4 * (saved + parameterCount(dims)),
  }[device];
}

/**
 * @param available bytes of main memory to be had
 * @throws TensorTooLargeError if the run needs more
 */
export function checkHostMemory(
  config: Trained,
  dims: Dims,
  device: "cpu" | "webgpu",
  available: number,
): void {
  const needed = hostBytes(config, dims, device);
  if (needed <= available) return;
  const gib = (bytes: number) =>
    `${(bytes / 2 ** 30).toLocaleString("en-US", { maximumFractionDigits: 1 })} GiB`;
  throw new TensorTooLargeError(
    `The model has ${parameterCount(dims).toLocaleString("en-US")} parameters and needs about ${gib(needed)} of main ` +
      `memory with a batch of ${config.batch_size}, but ${gib(available)} can be had. Choose a smaller batch, context, width or ` +
      `number of layers.`,
  );
}
