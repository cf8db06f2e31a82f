// The operations of the optimizers as dispatches of their kernels, named as their twins in the reference; those of the
// model, its products among them, are in gpu_ops.ts.

import type { Device } from "../device/device.ts";
import { type Dispatch, gridOf } from "../device/schedule.ts";
import { sizeOf, type Tensor } from "../device/tensors.ts";
import { elements, rowThreads } from "./workgroups.ts";

/** What every optimizer's last kernel reads beside its own tensors: whether and by what the gradients are clipped. */
interface StepTensors {
  records: Tensor;
  step_data: Tensor;
}

interface Decay {
  weight_decay: number;
  grad_clip: number;
}

/** @param weights gets a copy of params in f16; null where none is wanted */
export function adamw(
  device: Device,
  params: Tensor,
  m: Tensor,
  v: Tensor,
  weights: Tensor | null,
  grads: Tensor,
  { scaler, ...step }: StepTensors & { scaler: Tensor },
  { beta1, beta2, epsilon, weight_decay, grad_clip }: AdamwConstants,
): Dispatch {
  const size = sizeOf(params);
  const { WG, grid } = elements(device, size);
  const { copy, HALF } = copyOf(device, weights);
  return {
    op: "adamw",
    kernel: "adamw",
    constants: { WG, HALF },
    sizes: { size, beta1, beta2, epsilon, weight_decay, grad_clip },
    bindings: { params, m, v, weights: copy, grads, scaler, ...step },
    grid,
  };
}

interface AdamwConstants extends Decay {
  beta1: number;
  beta2: number;
  epsilon: number;
}

/** @param weights as in adamw() */
export function sgd(
  device: Device,
  params: Tensor,
  m: Tensor,
  weights: Tensor | null,
  grads: Tensor,
  step: StepTensors,
  { momentum, weight_decay, grad_clip }: Decay & { momentum: number },
): Dispatch {
  const size = sizeOf(params);
  const { WG, grid } = elements(device, size);
  const { copy, HALF } = copyOf(device, weights);
  return {
    op: "sgd",
    kernel: "sgd",
    constants: { WG, HALF },
    sizes: { size, momentum, weight_decay, grad_clip },
    bindings: { params, m, weights: copy, grads, ...step },
    grid,
  };
}

/** A matrix that lies in tensors with others, from element `first` on. */
export interface MatrixPlace {
  rows: number;
  columns: number;
  first: number;
}

/** Elements of a matrix that a workgroup goes through. */
export const MUON_CHUNK = 2048;

/** @param partials (ceil(rows · columns / chunk)) */
export function muonMomentum(
  device: Device,
  m: Tensor,
  x: Tensor,
  partials: Tensor,
  grads: Tensor,
  step: StepTensors,
  { rows, columns, first, momentum, grad_clip, chunk = MUON_CHUNK }: MomentumSizes,
): Dispatch {
  return {
    op: "muon_momentum",
    kernel: "muon_momentum",
    constants: { WG: rowThreads(device, chunk) },
    sizes: { rows, columns, first, chunk, momentum, grad_clip },
    bindings: { m, x, partials, grads, ...step },
    grid: gridOf(device, Math.ceil((rows * columns) / chunk)),
  };
}

interface MomentumSizes extends MatrixPlace {
  momentum: number;
  grad_clip: number;
  chunk?: number;
}

export function muonNormalize(
  device: Device,
  x: Tensor,
  partials: Tensor,
  { size, chunk = MUON_CHUNK }: { size: number; chunk?: number },
): Dispatch {
  return {
    op: "muon_normalize",
    kernel: "muon_normalize",
    constants: { WG: rowThreads(device, chunk) },
    sizes: { size, chunk },
    bindings: { x, partials },
    grid: gridOf(device, Math.ceil(size / chunk)),
  };
}

/** out (columns, rows) of inp (rows, columns). */
export function muonTranspose(
  device: Device,
  out: Tensor,
  inp: Tensor,
  { rows, columns }: { rows: number; columns: number },
): Dispatch {
  const { WG, grid } = elements(device, rows * columns);
  return {
    op: "muon_transpose",
    kernel: "muon_transpose",
    constants: { WG },
    sizes: { rows, columns },
    bindings: { out, inp },
    grid,
  };
}

export function muonPolynomial(device: Device, a: Tensor, square: Tensor, n: number): Dispatch {
  const { WG, grid } = elements(device, n * n);
  return {
    op: "muon_polynomial",
    kernel: "muon_polynomial",
    constants: { WG },
    sizes: { n },
    bindings: { a, square },
    grid,
  };
}

/** @param weights as in adamw() */
export function muonUpdate(
  device: Device,
  params: Tensor,
  weights: Tensor | null,
  x: Tensor,
  step: StepTensors,
  { rows, columns, first, weight_decay }: MatrixPlace & { weight_decay: number },
): Dispatch {
  const { WG, grid } = elements(device, rows * columns);
  const { copy, HALF } = copyOf(device, weights);
  return {
    op: "muon_update",
    kernel: "muon_update",
    constants: { WG, HALF },
    sizes: { rows, columns, first, weight_decay },
    bindings: { params, weights: copy, x, ...step },
    grid,
  };
}

/** @param parts (planes, size), or a piece of the only plane */
export function accumulate(
  device: Device,
  sums: Tensor,
  parts: Tensor,
  step_data: Tensor,
  { size, planes }: { size: number; planes: number },
): Dispatch {
  const { WG, grid } = elements(device, size);
  return {
    op: "accumulate",
    kernel: "accumulate",
    constants: { WG },
    sizes: { size, planes },
    bindings: { sums, parts, step_data },
    grid,
  };
}

function copyOf(device: Device, weights: Tensor | null) {
  return { copy: weights ?? device.nothing, HALF: Number(weights !== null) };
}
