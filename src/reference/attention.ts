// Causal multi-head attention as plain loops in float64; the twins of the attention kernels.
//
// qkv (B, T, C + 2·NKV·HS) holds q, k and v of all heads side by side, as the fused product writes them; head h's
// channels are h·HS .. h·HS + HS - 1 of each. There are NKV heads of k and v, and NH / NKV of q read each of them. Of the softmax only stats (B, NH, T, 2) is kept: each row's
// largest score and 1 / sum(exp(score - largest)), from which the backward pass makes it anew. A part is that of some
// heads of some sequences.

import type { Values } from "./ops.ts";
import { endOf, firstOf, WHOLE } from "./parts.ts";
import { dot } from "./product.ts";

interface Sizes {
  B: number;
  T: number;
  /** Channels of q, NH·HS. */
  C: number;
  NH: number;
  /** As many as NH where absent. */
  NKV?: number;
}

/** Where the heads lie in a row of qkv. */
function placesOf({ C, NH, NKV = NH }: Sizes) {
  const HS = C / NH;
  return { NKV, HS, row: C + 2 * NKV * HS, shared: NH / NKV, k: C, v: C + NKV * HS };
}

/** Keys and values of a sequence whose last T positions qkv's are. */
interface Keys {
  /** (first + T, 2·NKV·HS) */
  values: Values;
  /** Positions before those of qkv. */
  first: number;
}

/**
 * out (B, T, C) = softmax(q · kᵀ / sqrt(HS), causal) · v, per head.
 * @param past what k and v are read from instead of qkv; then B is 1
 */
export function attentionForward(
  out: Values,
  stats: Values,
  qkv: Values,
  sizes: Sizes,
  part = WHOLE,
  past?: Keys,
): void {
  const { B, T, C, NH } = sizes;
  const { HS, row: W, shared, ...places } = placesOf(sizes);
  const { values, first: before } = past ?? { values: qkv, first: 0 };
  const row = past ? W - C : W;
  const [key, value] = past ? [0, places.v - C] : [places.k, places.v];
  const scale = 1 / Math.sqrt(HS);
  const p = new Float64Array(before + T);
  const end = endOf(B * NH, part);
  for (let bh = firstOf(B * NH, part); bh < end; bh++) {
    const b = Math.floor(bh / NH);
    const h = bh % NH;
    const first = b * T * W;
    const kv = first + Math.floor(h / shared) * HS;
    for (let t = 0; t < T; t++) {
      const q = first + t * W + h * HS;
      const last = before + t;
      let largest = -Infinity;
      for (let s = 0; s <= last; s++) {
        p[s] = dot(qkv, q, values, kv + s * row + key, HS) * scale;
        largest = Math.max(largest, p[s]);
      }
      let sum = 0;
      for (let s = 0; s <= last; s++) sum += p[s] = Math.exp(p[s] - largest);
      const o = (b * T + t) * C + h * HS;
      for (let c = 0; c < HS; c++) out[o + c] = 0;
      for (let s = 0; s <= last; s++) {
        const v = kv + s * row + value;
        const weight = p[s] / sum;
        for (let c = 0; c < HS; c++) out[o + c] += weight * values[v + c];
      }
      const stat = ((b * NH + h) * T + t) * 2;
      stats[stat] = largest;
      stats[stat + 1] = 1 / sum;
    }
  }
}

/**
 * The q part of dqkv, and delta (B, NH, T) = rowsum(dout · out) for the kernel of k and v:
 *   dscore[t, s] = p[t, s] · (dout[t] · v[s] - delta[t]) / sqrt(HS);  dq[t] = sum over s of dscore[t, s] · k[s]
 */
export function attentionBackwardQ(
  dqkv: Values,
  delta: Values,
  dout: Values,
  out: Values,
  qkv: Values,
  stats: Values,
  sizes: Sizes,
  part = WHOLE,
): void {
  const { B, T, C, NH } = sizes;
  const { HS, row: W, shared, ...places } = placesOf(sizes);
  const scale = 1 / Math.sqrt(HS);
  const end = endOf(B * NH, part);
  for (let bh = firstOf(B * NH, part); bh < end; bh++) {
    const b = Math.floor(bh / NH);
    const h = bh % NH;
    const first = b * T * W;
    const kv = first + Math.floor(h / shared) * HS;
    for (let t = 0; t < T; t++) {
      const o = (b * T + t) * C + h * HS;
      const row = (b * NH + h) * T + t;
      const d = dot(dout, o, out, o, HS);
      delta[row] = d;
      const q = first + t * W + h * HS;
      for (let c = 0; c < HS; c++) dqkv[q + c] = 0;
      for (let s = 0; s <= t; s++) {
        const k = kv + s * W + places.k;
        const v = kv + s * W + places.v;
        const score = dot(qkv, q, qkv, k, HS) * scale;
        const p = Math.exp(score - stats[2 * row]) * stats[2 * row + 1];
        const dscore = p * (dot(dout, o, qkv, v, HS) - d) * scale;
        for (let c = 0; c < HS; c++) dqkv[q + c] += dscore * qkv[k + c];
      }
    }
  }
}

/**
 * The k and v parts of dqkv, summed over the heads of q that share them:
 *   dk[s] = sum over t ≥ s of dscore[t, s] · q[t];  dv[s] = sum over t ≥ s of p[t, s] · dout[t]
 */
export function attentionBackwardKv(
  dqkv: Values,
  delta: Values,
  dout: Values,
  qkv: Values,
  stats: Values,
  sizes: Sizes,
  part = WHOLE,
): void {
  const { B, T, C, NH } = sizes;
  const { NKV, HS, row: W, shared, ...places } = placesOf(sizes);
  const scale = 1 / Math.sqrt(HS);
  const end = endOf(B * NKV, part);
  for (let bg = firstOf(B * NKV, part); bg < end; bg++) {
    const b = Math.floor(bg / NKV);
    const g = bg % NKV;
    const first = b * T * W;
    for (let s = 0; s < T; s++) {
      const k = first + s * W + places.k + g * HS;
      const v = first + s * W + places.v + g * HS;
      for (let c = 0; c < HS; c++) dqkv[k + c] = dqkv[v + c] = 0;
      for (let h = g * shared; h < (g + 1) * shared; h++) {
        for (let t = s; t < T; t++) {
          const q = first + t * W + h * HS;
          const o = (b * T + t) * C + h * HS;
          const row = (b * NH + h) * T + t;
          const score = dot(qkv, q, qkv, k, HS) * scale;
          const p = Math.exp(score - stats[2 * row]) * stats[2 * row + 1];
          const dscore = p * (dot(dout, o, qkv, v, HS) - delta[row]) * scale;
          for (let c = 0; c < HS; c++) {
            dqkv[k + c] += dscore * qkv[q + c];
            dqkv[v + c] += p * dout[o + c];
          }
        }
      }
    }
  }
}
