// Operations on rows of texts that are continued, a token each: what a row reads and writes of its text lies in a slot. The
// twins of the kernels in float64.
//
// rows (N, 4): slot, position, id, step. keys (slots, NKV, HS, T) and values (slots, NKV, T, HS).

import type { Turns } from "../model/turns.ts";
import { headsForward, turn } from "./heads.ts";
import { embeddingForward, rmsnormForward } from "./ops.ts";
import { dot } from "./product.ts";
import type { Values } from "./values.ts";

/** Integers of rows, ROW for each. */
type Rows = ArrayLike<number>;
const ROW = 4;

interface SlotSizes {
  /** Rows. */
  N: number;
  /** Positions of a slot. */
  T: number;
  NKV: number;
  HS: number;
}

/** out (N, C) = wte[id] + wpe[position], if there is one, and with eps the RMSNorm of that. */
export function embeddingRows(
  out: Values,
  rows: Rows,
  wte: Values,
  wpe: Values | undefined,
  { N, C, V, eps }: { N: number; C: number; V: number; eps?: number },
): void {
  for (let n = 0; n < N; n++) {
    const [position, id] = [rows[n * ROW + 1], rows[n * ROW + 2]];
    const line = out.subarray(n * C, (n + 1) * C);
    const at = wpe?.subarray(position * C, (position + 1) * C);
    embeddingForward(line, Int32Array.of(id), wte, at, { B: 1, T: 1, C, V });
    if (eps !== undefined) rmsnormForward(line, new Float64Array(1), line, { N: 1, C, eps });
  }
}

/**
 * headsForward() of each row at its position: q (N, NH·HS), and what it makes of k and v at their places.
 * @param qkv (N, (NH + 2·NKV)·HS)
 * @param norm whether there is one
 */
export function headsCache(
  q: Values,
  keys: Values,
  values: Values,
  qkv: Values,
  rows: Rows,
  norm: boolean,
  gains: { q: Values; k: Values } | undefined,
  turns: Turns | undefined,
  { N, T, NH, NKV, HS, eps }: SlotSizes & { NH: number; eps: number },
): void {
  const W = (NH + 2 * NKV) * HS;
  const rstd = norm ? new Float64Array(NH + NKV) : undefined;
  const heads = new Float64Array(W);
  for (let n = 0; n < N; n++) {
    const [slot, t] = [rows[n * ROW], rows[n * ROW + 1]];
    const line = qkv.subarray(n * W, (n + 1) * W);
    const half = HS / 2;
    const here = turns && {
      cos: turns.cos.subarray(t * half, (t + 1) * half),
      sin: turns.sin.subarray(t * half, (t + 1) * half),
    };
    headsForward(heads, rstd, line, gains, here, { B: 1, T: 1, NH, NKV, HS, eps });
    for (let c = 0; c < NH * HS; c++) q[n * NH * HS + c] = heads[c];
    for (let g = 0; g < NKV; g++) {
      const head = slot * NKV + g;
      for (let c = 0; c < HS; c++) {
        keys[(head * HS + c) * T + t] = heads[(NH + g) * HS + c];
        values[(head * T + t) * HS + c] = heads[(NH + NKV + g) * HS + c];
      }
    }
  }
}

/** out (N, NH·HS) = softmax(q · keysᵀ / sqrt(HS)) · values over the positions of the row's slot up to its own, per head. */
export function attentionCache(
  out: Values,
  q: Values,
  keys: Values,
  values: Values,
  rows: Rows,
  { N, T, NH, NKV, HS }: SlotSizes & { NH: number },
): void {
  const p = new Float64Array(T);
  const key = new Float64Array(HS);
  for (let n = 0; n < N; n++) {
    const [slot, t] = [rows[n * ROW], rows[n * ROW + 1]];
    for (let h = 0; h < NH; h++) {
      const head = slot * NKV + Math.floor(h / (NH / NKV));
      const at = (n * NH + h) * HS;
      let largest = -Infinity;
      for (let s = 0; s <= t; s++) {
        for (let c = 0; c < HS; c++) key[c] = keys[(head * HS + c) * T + s];
        p[s] = dot(q, at, key, 0, HS) / Math.sqrt(HS);
        largest = Math.max(largest, p[s]);
      }
      let sum = 0;
      for (let s = 0; s <= t; s++) sum += p[s] = Math.exp(p[s] - largest);
      for (let c = 0; c < HS; c++) out[at + c] = 0;
      for (let s = 0; s <= t; s++) {
        for (let c = 0; c < HS; c++) out[at + c] += (p[s] / sum) * values[(head * T + s) * HS + c];
      }
    }
  }
}

/**
 * What is behind the first `kept` and `count` more positions of a slot takes their places, and keys turn back by `count`.
 * @param slides (N, 4): slot, kept, count, and a number that does not count
 */
export function slideCache(
  keys: Values,
  values: Values,
  slides: Rows,
  turns: Turns,
  { N, T, NKV, HS }: SlotSizes,
): void {
  const key = new Float64Array(HS);
  for (let n = 0; n < N; n++) {
    const [slot, kept, count] = [slides[n * ROW], slides[n * ROW + 1], slides[n * ROW + 2]];
    for (let head = slot * NKV; head < (slot + 1) * NKV; head++) {
      for (let s = kept; s + count < T; s++) {
        for (let c = 0; c < HS; c++) key[c] = keys[(head * HS + c) * T + s + count];
        turn(key, 0, HS, turns, count, -1);
        for (let c = 0; c < HS; c++) {
          keys[(head * HS + c) * T + s] = key[c];
          values[(head * T + s) * HS + c] = values[(head * T + s + count) * HS + c];
        }
      }
    }
  }
}
