// Every kernel's twin: the same operation as plain loops in float64, under the same name.
// Arguments come in the order outputs, inputs, sizes; a gradient is `d` + name. What a function
// writes it overwrites; where it accumulates, its comment says so. Those that may take long can be asked for a part of
// it alone. Letters: model/parameters.ts.

import type { Relu } from "../choices.ts";
import { endOf, firstOf, WHOLE } from "./parts.ts";
import { dot, product } from "./product.ts";
import type { Ids, Values } from "./values.ts";

export type { Ids, Values };

interface EmbeddingSizes {
  B: number;
  T: number;
  C: number;
  V: number;
  /** Position of each sequence's first token, 0 where absent. */
  first?: number;
}

/** out (B·T, C) = wte[id] + wpe[position], if there is one; an id outside 0..V-1 has no row in wte and adds nothing. */
export function embeddingForward(
  out: Values,
  ids: Ids,
  wte: Values,
  wpe: Values | undefined,
  { B, T, C, V, first = 0 }: EmbeddingSizes,
): void {
  for (let n = 0; n < B * T; n++) {
    const id = ids[n];
    const known = id >= 0 && id < V;
    const token = id * C;
    const position = (first + (n % T)) * C;
    for (let c = 0; c < C; c++) {
      out[n * C + c] = (wpe ? wpe[position + c] : 0) + (known ? wte[token + c] : 0);
    }
  }
}

/** out (B·T, C) = rmsnorm(embeddingForward()), and rstd (B·T). */
export function embeddingRmsnormForward(
  out: Values,
  rstd: Values,
  ids: Ids,
  wte: Values,
  wpe: Values | undefined,
  { eps, ...sizes }: EmbeddingSizes & { eps: number },
): void {
  embeddingForward(out, ids, wte, wpe, sizes);
  rmsnormForward(out, rstd, out, { N: sizes.B * sizes.T, C: sizes.C, eps });
}

/**
 * dwte (V, C): row v is the sum of dout's rows (B, T, C) at which the id is v, added to what it holds if `accumulate`:
 * there the head's share already stands. dwpe (rows, C), if there is one: row t is the sum over the batch of dout at t;
 * rows from T on are 0.
 */
export function embeddingBackward(
  dwte: Values,
  dwpe: Values | undefined,
  dout: Values,
  ids: Ids,
  { B, T, C, V, accumulate = false }: EmbeddingSizes & { accumulate?: boolean },
): void {
  if (!accumulate) dwte.fill(0, 0, V * C);
  dwpe?.fill(0);
  for (let n = 0; n < B * T; n++) {
    const id = ids[n];
    const known = id >= 0 && id < V;
    const token = id * C;
    const position = (n % T) * C;
    for (let c = 0; c < C; c++) {
      const d = dout[n * C + c];
      if (dwpe) dwpe[position + c] += d;
      if (known) dwte[token + c] += d;
    }
  }
}

/** out (N, C) = inp · rstd, with rstd (N) = 1 / sqrt(mean(inp²) + eps). */
export function rmsnormForward(
  out: Values,
  rstd: Values,
  inp: Values,
  { N, C, eps }: { N: number; C: number; eps: number },
): void {
  for (let n = 0; n < N; n++) {
    const scale = 1 / Math.sqrt(dot(inp, n * C, inp, n * C, C) / C + eps);
    for (let c = 0; c < C; c++) out[n * C + c] = inp[n * C + c] * scale;
    rstd[n] = scale;
  }
}

/**
 * dinp (N, C) = rstd · (dout - out · mean(dout · out)), where out is what the forward pass made; added to what dinp holds if
 * `accumulate`: there the residual's gradient already stands.
 */
export function rmsnormBackward(
  dinp: Values,
  dout: Values,
  out: Values,
  rstd: Values,
  { N, C, accumulate }: { N: number; C: number; accumulate: boolean },
): void {
  for (let n = 0; n < N; n++) {
    const scale = rstd[n];
    const pull = dot(dout, n * C, out, n * C, C) / C;
    for (let c = 0; c < C; c++) {
      const before = accumulate ? dinp[n * C + c] : 0;
      dinp[n * C + c] = before + scale * (dout[n * C + c] - out[n * C + c] * pull);
    }
  }
}

/** out (N, OC) = inp (N, C) · weight (OC, C)ᵀ. */
export function matmulForward(
  out: Values,
  inp: Values,
  weight: Values,
  { N, C, OC }: { N: number; C: number; OC: number },
  part = WHOLE,
): void {
  const strides = { aRow: C, aColumn: 1, bRow: 1, bColumn: C };
  product(out, inp, weight, { M: N, N: OC, K: C, ...strides }, part);
}

/** dinp (N, C) = dout (N, OC) · weight (OC, C). */
export function matmulBackwardInput(
  dinp: Values,
  dout: Values,
  weight: Values,
  { N, C, OC }: { N: number; C: number; OC: number },
  part = WHOLE,
): void {
  const strides = { aRow: OC, aColumn: 1, bRow: C, bColumn: 1 };
  product(dinp, dout, weight, { M: N, N: C, K: OC, ...strides }, part);
}

/** dweight (OC, C) = doutᵀ · inp over the rows first .. end - 1 of dout (N, OC) and inp (N, C). */
export function matmulBackwardWeight(
  dweight: Values,
  dout: Values,
  inp: Values,
  { first, end, C, OC }: { first: number; end: number; C: number; OC: number },
  part = WHOLE,
): void {
  const K = end - first;
  const douts = first === 0 ? dout : dout.subarray(first * OC);
  const inps = first === 0 ? inp : inp.subarray(first * C);
  const strides = { aRow: 1, aColumn: OC, bRow: C, bColumn: 1 };
  product(dweight, douts, inps, { M: OC, N: C, K, ...strides }, part);
}

/** Of a linear layer: rows, input and output channels; and the planes of its weight's gradient. */
interface BackwardSizes {
  N: number;
  C: number;
  OC: number;
  /** Parts that the sums over the rows are made in, 1 where absent. */
  splits?: number;
}

/**
 * Both gradients of a linear layer: dinp (N, C) = dout · weight, and dweight (splits, OC, C), whose planes
 * are the sums over ceil(N / splits) rows each.
 */
export function matmulBackward(
  dinp: Values,
  dweight: Values,
  dout: Values,
  inp: Values,
  weight: Values,
  { N, C, OC, splits = 1 }: BackwardSizes,
  part = WHOLE,
): void {
  matmulBackwardInput(dinp, dout, weight, { N, C, OC }, part);
  const rows = Math.ceil(N / splits);
  for (let split = 0; split < splits; split++) {
    const plane = splits === 1 ? dweight : dweight.subarray(split * OC * C, (split + 1) * OC * C);
    const end = Math.min((split + 1) * rows, N);
    matmulBackwardWeight(plane, dout, inp, { first: split * rows, end, C, OC }, part);
  }
}

/** out (N, OC) = x (N, OC) + inp (N, C) · weight (OC, C)ᵀ: what a block adds to the residual stream. */
export function matmulResidualForward(
  out: Values,
  x: Values,
  inp: Values,
  weight: Values,
  sizes: { N: number; C: number; OC: number },
  part = WHOLE,
): void {
  matmulForward(out, inp, weight, sizes, part);
  const end = endOf(sizes.N, part) * sizes.OC;
  for (let i = firstOf(sizes.N, part) * sizes.OC; i < end; i++) out[i] += x[i];
}

/** Of r = max(x, 0); and the slope at x, which the activation's output is enough to know. */
const activations: Record<Relu, { of(r: number): number; slope(act: number): number }> = {
  relu: { of: (r) => r, slope: (act) => Number(act > 0) },
  relu_squared: { of: (r) => r * r, slope: (act) => 2 * Math.sqrt(act) },
};

/** act (N, OC) = activation(inp (N, C) · weight (OC, C)ᵀ); relu_squared is max(x, 0)². */
export function matmulActivationForward(
  act: Values,
  inp: Values,
  weight: Values,
  sizes: { N: number; C: number; OC: number; activation: Relu },
  part = WHOLE,
): void {
  matmulForward(act, inp, weight, sizes, part);
  const { of } = activations[sizes.activation];
  const end = endOf(sizes.N, part) * sizes.OC;
  for (let i = firstOf(sizes.N, part) * sizes.OC; i < end; i++) {
    // max(x, 0) without a branch, which processors would guess wrong for every other number
    act[i] = of(act[i] * Number(act[i] > 0));
  }
}

/**
 * Both gradients of a linear layer behind an activation: dx (N, C) = (dout (N, OC) · weight) · activation'(x),
 * the gradient of the activation's input x, whose output act (N, C) = activation(x) is enough to know the
 * slope; and dweight (splits, OC, C) as in matmulBackward().
 */
export function matmulActivationBackward(
  dx: Values,
  dweight: Values,
  dout: Values,
  act: Values,
  weight: Values,
  sizes: BackwardSizes & { activation: Relu },
  part = WHOLE,
): void {
  matmulBackward(dx, dweight, dout, act, weight, sizes, part);
  const { slope } = activations[sizes.activation];
  const end = endOf(sizes.N, part) * sizes.C;
  for (let i = firstOf(sizes.N, part) * sizes.C; i < end; i++) dx[i] *= slope(act[i]);
}

/**
 * losses (N) = -log softmax(logits (N, V))[target], and the logits become the gradient of their sum
 * times scale: (softmax - onehot(target)) · scale. Both are 0 where the target is outside 0..V-1. With a softcap the
 * logits are s·tanh(x / s) already, and become the gradient of x: times 1 - (logit / s)².
 */
export function crossEntropy(
  losses: Values,
  logits: Values,
  targets: Ids,
  { N, V, scale, softcap = 0 }: { N: number; V: number; scale: number; softcap?: number },
  part = WHOLE,
): void {
  const end = endOf(N, part);
  for (let n = firstOf(N, part); n < end; n++) {
    const row = n * V;
    const target = targets[n];
    if (!(target >= 0 && target < V)) {
      losses[n] = 0;
      logits.fill(0, row, row + V);
      continue;
    }
    const capped = softcap > 0 ? logits.slice(row, row + V) : undefined;
    let largest = -Infinity;
    for (let v = 0; v < V; v++) largest = Math.max(largest, logits[row + v]);
    const score = logits[row + target] - largest;
    let sum = 0;
    for (let v = 0; v < V; v++) sum += logits[row + v] = Math.exp(logits[row + v] - largest);
    losses[n] = Math.log(sum) - score;
    for (let v = 0; v < V; v++) logits[row + v] *= scale / sum;
    logits[row + target] -= scale;
    capped?.forEach((y, v) => (logits[row + v] *= 1 - (y / softcap) ** 2));
  }
}

/** The sum of losses (N), each `stride` numbers from the last, times scale (1 / positions that count). */
export function meanLoss(
  losses: Values,
  { N, stride = 1, scale }: { N: number; stride?: number; scale: number },
): number {
  let sum = 0;
  for (let n = 0; n < N; n++) sum += losses[n * stride];
  return sum * scale;
}

/**
 * grads (planes, size): the sum of all planes, divided by scale, goes into the first one. partials (ceil(size / chunk)): its
 * sum of squares, chunk by chunk.
 */
export function gradientSum(
  grads: Values,
  partials: Values,
  {
    size,
    planes,
    chunk,
    scale = 1,
  }: { size: number; planes: number; chunk: number; scale?: number },
): void {
  for (let p = 1; p < planes; p++) {
    for (let i = 0; i < size; i++) grads[i] += grads[p * size + i];
  }
  if (scale !== 1) for (let i = 0; i < size; i++) grads[i] /= scale;
  for (let first = 0, p = 0; first < size; first += chunk, p++) {
    const end = Math.min(first + chunk, size);
    partials[p] = dot(grads, first, grads, first, end - first);
  }
}

/** The Euclidean norm of all gradients together, from the sums of squares of their chunks. */
export function gradNorm(partials: Values): number {
  let sum = 0;
  for (const partial of partials) sum += partial;
  return Math.sqrt(sum);
}

/** Factor on the gradients that brings their norm down to grad_clip; 1 if it is off or not reached. */
export function clipFactor(grad_clip: number, grad_norm: number): number {
  return grad_clip > 0 && grad_norm > grad_clip ? grad_clip / grad_norm : 1;
}

/** What a step's record needs beside the tensors. */
interface RecordSettings {
  N: number;
  stride: number;
  /** 1 / positions that count. */
  scale: number;
  growth: number;
  largest: number;
  /** From 1. */
  step: number;
  beta1: number;
  beta2: number;
}

/**
 * record (2) = the mean of losses (N, stride), and the gradients' norm from its partials. scaler (5) = the scale
 * on the gradients, the steps since it was changed, and the steps that were skipped: where the norm is not finite,
 * the step is skipped and the scale halved; after `growth` steps without that it is doubled; it stays between 1 and
 * `largest`. Growth 0 leaves it as it is. Then Adam's bias corrections, 1 / (1 - beta^t), t the steps not skipped.
 */
export function stepRecord(
  record: Values,
  scaler: Values,
  losses: Values,
  partials: Values,
  { growth, largest, step, beta1, beta2, ...sizes }: RecordSettings,
): void {
  record[0] = meanLoss(losses, sizes);
  record[1] = gradNorm(partials);
  let [scale, good, skipped] = scaler;
  if (growth > 0 && !Number.isFinite(record[1])) {
    [scale, good, skipped] = [scale / 2, 0, skipped + 1];
  } else if (growth > 0) {
    good++;
    if (good >= growth) [scale, good] = [scale * 2, 0];
  }
  if (growth > 0) scale = Math.max(1, Math.min(scale, largest));
  const t = Math.max(step - skipped, 1);
  scaler.set([scale, good, skipped, 1 / (1 - beta1 ** t), 1 / (1 - beta2 ** t)]);
}

/** What an optimizer step needs beside the tensors. */
export interface AdamwSettings {
  lr: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weight_decay: number;
  /** 1 / (1 - beta1^t) and 1 / (1 - beta2^t), t from 1. */
  correction1: number;
  correction2: number;
  /** Factor on the gradient: min(1, grad_clip / norm), or 1. */
  clip: number;
}

/**
 * AdamW over a flat array: updates params and both moments in place. The caller leaves it out where the
 * gradients' norm is not finite. Source: Loshchilov and Hutter 2019.
 */
export function adamw(
  params: Values,
  m: Values,
  v: Values,
  grads: Values,
  settings: AdamwSettings & { size: number },
): void {
  const { size, lr, beta1, beta2, epsilon, weight_decay, correction1, correction2, clip } =
    settings;
  for (let i = 0; i < size; i++) {
    const g = grads[i] * clip;
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    const update = (m[i] * correction1) / (Math.sqrt(v[i] * correction2) + epsilon);
    params[i] -= lr * (update + weight_decay * params[i]);
  }
}
