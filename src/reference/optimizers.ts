// The optimizers beside AdamW, in float64: SGD with momentum, and Muon in the pieces that its kernels are. What
// takes long yields between its parts.

import { matmulBackwardInput, matmulForward } from "./ops.ts";
import { MUON_ITERATIONS } from "../model/optimizer_state.ts";
import { inParts } from "./parts.ts";
import type { Values } from "./values.ts";

/** sums (size) = the sum of parts (planes, size), added to what sums holds but in the first micro-batch of a step. */
export function accumulate(
  sums: Values,
  parts: Values,
  { size, planes, micro }: { size: number; planes: number; micro: number },
): void {
  for (let i = 0; i < size; i++) {
    let sum = micro > 0 ? sums[i] : 0;
    for (let p = 0; p < planes; p++) sum += parts[p * size + i];
    sums[i] = sum;
  }
}

export interface SgdSettings {
  lr: number;
  momentum: number;
  weight_decay: number;
  /** Factor on the gradient: min(1, grad_clip / norm), or 1. */
  clip: number;
}

/**
 * SGD with momentum over a flat array: updates params and m in place. The caller leaves it out where the gradients' norm
 * is not finite.
 */
export function sgd(
  params: Values,
  m: Values,
  grads: Values,
  { size, lr, momentum, weight_decay, clip }: SgdSettings & { size: number },
): void {
  for (let i = 0; i < size; i++) {
    m[i] = momentum * m[i] + grads[i] * clip;
    params[i] -= lr * (m[i] + weight_decay * params[i]);
  }
}

/** Of a matrix that Muon trains. */
export interface MatrixSizes {
  rows: number;
  columns: number;
}

/** Where element i of a matrix is where its rows are not longer than its columns: transposed if they are. */
function placeOf(i: number, { rows, columns }: MatrixSizes): number {
  return rows > columns ? (i % columns) * rows + Math.floor(i / columns) : i;
}

/**
 * m (rows, columns) = momentum · m + g with g = grads · clip, and x (short side, long side) = g + momentum · m, transposed
 * if rows > columns. partials (ceil(rows · columns / chunk)): x's sums of squares, chunk by chunk of the untransposed.
 */
export function muonMomentum(
  m: Values,
  x: Values,
  partials: Values,
  grads: Values,
  sizes: MatrixSizes & { chunk: number; momentum: number; clip: number },
): void {
  const { rows, columns, chunk, momentum, clip } = sizes;
  partials.fill(0, 0, Math.ceil((rows * columns) / chunk));
  for (let i = 0; i < rows * columns; i++) {
    const g = grads[i] * clip;
    m[i] = momentum * m[i] + g;
    const ahead = g + momentum * m[i];
    x[placeOf(i, sizes)] = ahead;
    partials[Math.floor(i / chunk)] += ahead * ahead;
  }
}

/** Added to a norm that it divides by. */
const NORM_EPSILON = 1e-7;

/** x (size) over its Euclidean norm; partials (ceil(size / chunk)) are its sums of squares. */
export function muonNormalize(
  x: Values,
  partials: Values,
  { size, chunk }: { size: number; chunk: number },
): void {
  let squares = 0;
  for (let p = 0; p * chunk < size; p++) squares += partials[p];
  const norm = Math.sqrt(squares) + NORM_EPSILON;
  for (let i = 0; i < size; i++) x[i] /= norm;
}

/** out (columns, rows) = inp (rows, columns)ᵀ. */
export function muonTranspose(out: Values, inp: Values, { rows, columns }: MatrixSizes): void {
  for (let i = 0; i < rows * columns; i++) {
    out[(i % columns) * rows + Math.floor(i / columns)] = inp[i];
  }
}

/**
 * What X is multiplied by so that it becomes 3.4445 X - 4.7750 XXᵀX + 2.0315 (XXᵀ)²X, a = XXᵀ: a (n, n) = 3.4445 I -
 * 4.7750 a + 2.0315 square. Source: Jordan et al., Muon, 2024.
 */
export function muonPolynomial(a: Values, square: Values, n: number): void {
  for (let i = 0; i < n * n; i++) a[i] = -4.775 * a[i] + 2.0315 * square[i];
  for (let i = 0; i < n; i++) a[i * n + i] += 3.4445;
}

/** params (rows, columns) -= lr · (√max(1, rows / columns) · x + weight_decay · params), x as muonMomentum() has it. */
export function muonUpdate(
  params: Values,
  x: Values,
  sizes: MatrixSizes & { lr: number; weight_decay: number },
): void {
  const { rows, columns, lr, weight_decay } = sizes;
  const scale = Math.sqrt(Math.max(1, rows / columns));
  for (let i = 0; i < rows * columns; i++) {
    params[i] -= lr * (scale * x[placeOf(i, sizes)] + weight_decay * params[i]);
  }
}

/** What orthogonalizing takes beside the matrix: y as large as that, a and square (n, n), n its short side. */
export interface MuonScratch {
  y: Values;
  a: Values;
  square: Values;
}

/** x (n, k) of norm 1, n ≤ k, to y of nearly the same singular vectors, and singular values near 1; x is used up. */
export function* orthogonalize(
  x: Values,
  { y, a, square }: MuonScratch,
  { n, k }: { n: number; k: number },
): Generator<void, void> {
  let [from, to] = [x, y];
  for (let i = 0; i < MUON_ITERATIONS; i++) {
    const [inp, out] = [from, to];
    yield* inParts(2 * n * n * k, (part) =>
      matmulForward(a, inp, inp, { N: n, C: k, OC: n }, part),
    );
    yield* inParts(2 * n * n * n, (part) =>
      matmulForward(square, a, a, { N: n, C: n, OC: n }, part),
    );
    muonPolynomial(a, square, n);
    yield* inParts(2 * n * n * k, (part) =>
      matmulBackwardInput(out, a, inp, { N: n, C: k, OC: n }, part),
    );
    [from, to] = [to, from];
  }
}
