// What a model needs of memory, before any of it is allocated.

import type { Config } from "../config.ts";
import { TensorTooLargeError } from "../errors.ts";
import { sizeOf, type TensorSpec } from "../device/tensors.ts";
import { chunkRows } from "./classifier.ts";
import type { ForwardConfig } from "./forward_config.ts";
import { frozenDims } from "./adapters.ts";
import { momentLayouts, muonMatrices } from "./optimizer_state.ts";
import { byLayers, type Dims, ParameterLayout, parameterCount } from "./parameters.ts";
import { activationTable, gradientTable } from "./tensor_tables.ts";

const elements = (table: readonly TensorSpec[]) =>
  table.reduce((sum, spec) => sum + sizeOf(spec), 0);

type Trained = ForwardConfig &
  Pick<Config, "batch_size" | "optimizer" | "grad_accumulation" | "recompute">;

/** Numbers that the optimizer keeps from step to step. */
function momentElements(config: Trained, dims: Dims): number {
  return byLayers(dims, (d) => {
    const { m, v } = momentLayouts(config, d);
    return m.size + v.size;
  });
}

/** Weights beside adapters. */
function frozenElements(dims: Dims): number {
  return dims.adapters ? parameterCount(frozenDims(dims)) : 0;
}

/** Those that are trained, and those that are frozen. */
export function allParameters(dims: Dims): number {
  return parameterCount(dims) + frozenElements(dims);
}

/** Numbers that a training step keeps: parameters, gradients, moments, and activations. */
function stepElements(
  config: Trained,
  dims: Dims,
  kept: { rows?: number; recompute?: boolean } = {},
): number {
  const { batch_size: B, grad_accumulation } = config;
  const gradients = grad_accumulation > 1 ? 2 : 1; // a micro-batch's, and their sum
  return (
    (1 + gradients) * parameterCount(dims) +
    frozenElements(dims) +
    momentElements(config, dims) +
    byLayers(dims, (d) => elements(activationTable(config, d, B, kept))) +
    elements(gradientTable(config, dims, B))
  );
}

/** Numbers that the CPU takes besides: what becomes of Muon's matrices, and four times what is at hand. */
function muonElements(config: Trained, dims: Dims): number {
  const sizes = (d: Dims) => muonMatrices(config, new ParameterLayout(d)).map(({ size }) => size);
  const updates = byLayers(dims, (d) => sizes(d).reduce((sum, size) => sum + size, 0));
  return updates + 4 * Math.max(0, ...sizes({ ...dims, L: 1 }));
}

/** Bytes of what a training step keeps on a GPU, in float32; what passes through and needs not stay shares memory there. */
export function stepBytes(config: Trained, dims: Dims): number {
  const { batch_size, recompute } = config;
  return 4 * stepElements(config, dims, { rows: chunkRows(dims, batch_size * dims.T), recompute });
}

/**
 * Bytes of main memory that a run needs: on the CPU everything in float64, and a copy of what is saved; on the GPU
 * what is saved, in float32, and a buffer through which it is read. What carries the initial weights there takes as much.
 * Frozen weights are there too as they were read, in float32, and again with the adapters in them while a model is made of
 * both, to be saved or to write.
 */
export function hostBytes(config: Trained, dims: Dims, device: "cpu" | "webgpu"): number {
  const saved = parameterCount(dims) + momentElements(config, dims);
  const frozen = 2 * frozenElements(dims);
  return {
    cpu: 8 * (stepElements(config, dims) + muonElements(config, dims) + saved) + 4 * frozen,
    webgpu: 4 * (saved + parameterCount(dims) + frozen),
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
    `The model has ${allParameters(dims).toLocaleString("en-US")} parameters and needs about ${gib(needed)} of main ` +
      `memory with a batch of ${config.batch_size}, but ${gib(available)} can be had. Choose a smaller batch, context, width or ` +
      `number of layers.`,
  );
}
