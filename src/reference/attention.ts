// Causal multi-head attention as plain loops in float64; the twins of the attention kernels.
//
// qkv (B, T, 3C) holds q, k and v of all heads side by side, as the fused product writes them; head h's
// channels are h·HS .. h·HS + HS - 1 of each. Of the softmax only stats (B, NH, T, 2) is kept: each row's
// largest score and 1 / sum(exp(score - largest)), from which the backward pass makes it anew.

import type { Values } from "./ops.ts";

interface Sizes {
  B: number;
  T: number;
  C: number;
  NH: number;
}

/** Offsets of q, k and v of head h at row (b, t) in qkv. */
function offsets(b: number, t: number, h: number, { T, C, NH }: Sizes): [number, number, number] {
  const q = (b * T + t) * 3 * C + h * (C / NH);
  return [q, q + C, q + 2 * C];
}

function dot(a: Values, i: number, b: Values, j: number, size: number): number {
  let sum = 0;
  for (let c = 0; c < size; c++) sum += a[i + c] * b[j + c];
  return sum;
}

/** out (B, T, C) = softmax(q · kᵀ / sqrt(HS), causal) · v, per head. */
export function attentionForward(out: Values, stats: Values, qkv: Values, sizes: Sizes): void {
  const { B, T, C, NH } = sizes;
  const HS = C / NH;
  const p = new Float64Array(T);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < NH; h++) {
      for (let t = 0; t < T; t++) {
        const [q] = offsets(b, t, h, sizes);
        let largest = -Infinity;
        for (let s = 0; s <= t; s++) {
          p[s] = dot(qkv, q, qkv, offsets(b, s, h, sizes)[1], HS) / Math.sqrt(HS);
          largest = Math.max(largest, p[s]);
        }
        let sum = 0;
        for (let s = 0; s <= t; s++) sum += p[s] = Math.exp(p[s] - largest);
        const o = (b * T + t) * C + h * HS;
        out.fill(0, o, o + HS);
        for (let s = 0; s <= t; s++) {
          const v = offsets(b, s, h, sizes)[2];
          for (let c = 0; c < HS; c++) out[o + c] += (p[s] / sum) * qkv[v + c];
        }
        const row = ((b * NH + h) * T + t) * 2;
        stats[row] = largest;
        stats[row + 1] = 1 / sum;
      }
    }
  }
}

/** The softmax's weight of key s for query t, made anew. */
function weight(
  qkv: Values,
  stats: Values,
  b: number,
  h: number,
  t: number,
  s: number,
  sizes: Sizes,
): number {
  const HS = sizes.C / sizes.NH;
  const score =
    dot(qkv, offsets(b, t, h, sizes)[0], qkv, offsets(b, s, h, sizes)[1], HS) / Math.sqrt(HS);
  const row = ((b * sizes.NH + h) * sizes.T + t) * 2;
  return Math.exp(score - stats[row]) * stats[row + 1];
}

/**
 * The q part of dqkv (B, T, 3C), and delta (B, NH, T) = rowsum(dout · out) for the kernel of k and v:
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
): void {
  const { B, T, C, NH } = sizes;
  const HS = C / NH;
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < NH; h++) {
      for (let t = 0; t < T; t++) {
        const o = (b * T + t) * C + h * HS;
        const d = dot(dout, o, out, o, HS);
        delta[(b * NH + h) * T + t] = d;
        const [q] = offsets(b, t, h, sizes);
        dqkv.fill(0, q, q + HS);
        for (let s = 0; s <= t; s++) {
          const [, k, v] = offsets(b, s, h, sizes);
          const p = weight(qkv, stats, b, h, t, s, sizes);
          const dscore = (p * (dot(dout, o, qkv, v, HS) - d)) / Math.sqrt(HS);
          for (let c = 0; c < HS; c++) dqkv[q + c] += dscore * qkv[k + c];
        }
      }
    }
  }
}

/**
 * The k and v parts of dqkv (B, T, 3C):
 *   dk[s] = sum over t ≥ s of dscore[t, s] · q[t];  dv[s] = sum over t ≥ s of p[t, s] · dout[t]
 */
export function attentionBackwardKv(
  dqkv: Values,
  delta: Values,
  dout: Values,
  qkv: Values,
  stats: Values,
  sizes: Sizes,
): void {
  const { B, T, C, NH } = sizes;
  const HS = C / NH;
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < NH; h++) {
      for (let s = 0; s < T; s++) {
        const [, k, v] = offsets(b, s, h, sizes);
        dqkv.fill(0, k, k + HS);
        dqkv.fill(0, v, v + HS);
        for (let t = s; t < T; t++) {
          const [q] = offsets(b, t, h, sizes);
          const o = (b * T + t) * C + h * HS;
          const p = weight(qkv, stats, b, h, t, s, sizes);
          const d = delta[(b * NH + h) * T + t];
          const dscore = (p * (dot(dout, o, qkv, v, HS) - d)) / Math.sqrt(HS);
          for (let c = 0; c < HS; c++) {
            dqkv[k + c] += dscore * qkv[q + c];
            dqkv[v + c] += p * dout[o + c];
          }
        }
      }
    }
  }
}
