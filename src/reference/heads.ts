// What happens to q and k between their product and attention: RMSNorm of each head (qk_norm), then the turn by its
// position (rope). A row of qkv is (NH + 2·NKV) heads of HS channels, q's, k's and v's; v is left as it is.

import type { Turns } from "../model/turns.ts";
import { dot } from "./product.ts";
import type { Values } from "./values.ts";

interface Sizes {
  B: number;
  T: number;
  NH: number;
  NKV: number;
  HS: number;
  /** Position of each sequence's first row, 0 where absent. */
  first?: number;
}

/** Gains (HS) that all heads of q share, and all of k. */
export interface HeadGains {
  q: Values;
  k: Values;
}

/**
 * out (B·T, (NH + 2·NKV)·HS): each head of q and k is head · rstd · gain, then pairs of channels (i, i + HS / 2) turn:
 * (x, y) becomes (x·cos - y·sin, y·cos + x·sin).
 * @param rstd (B·T, NH + NKV), 1 / sqrt(mean(head²) + eps); undefined where there is no norm
 * @param gains undefined where there are none
 * @param turns undefined where nothing turns
 */
export function headsForward(
  out: Values,
  rstd: Values | undefined,
  qkv: Values,
  gains: HeadGains | undefined,
  turns: Turns | undefined,
  { B, T, NH, NKV, HS, eps, first = 0 }: Sizes & { eps: number },
): void {
  const W = (NH + 2 * NKV) * HS;
  for (let n = 0; n < B * T; n++) {
    for (let h = 0; h < NH + NKV; h++) {
      const head = n * W + h * HS;
      const gain = gains && (h < NH ? gains.q : gains.k);
      let scale = 1;
      if (rstd) {
        scale = 1 / Math.sqrt(dot(qkv, head, qkv, head, HS) / HS + eps);
        rstd[n * (NH + NKV) + h] = scale;
      }
      for (let c = 0; c < HS; c++) out[head + c] = qkv[head + c] * scale * (gain ? gain[c] : 1);
      if (turns) turn(out, head, HS, turns, first + (n % T), 1);
    }
    const v = n * W + (NH + NKV) * HS;
    for (let c = 0; c < NKV * HS; c++) out[v + c] = qkv[v + c];
  }
}

/**
 * dqkv from dout, which may be in its place; and the gains' gradients, sums over all rows and heads.
 * @param qkv, rstd of the forward pass
 */
export function headsBackward(
  dqkv: Values,
  dgains: HeadGains | undefined,
  dout: Values,
  qkv: Values,
  rstd: Values | undefined,
  gains: HeadGains | undefined,
  turns: Turns | undefined,
  { B, T, NH, NKV, HS }: Sizes,
): void {
  const W = (NH + 2 * NKV) * HS;
  dgains?.q.fill(0);
  dgains?.k.fill(0);
  for (let n = 0; n < B * T; n++) {
    for (let c = 0; c < W; c++) dqkv[n * W + c] = dout[n * W + c];
    for (let h = 0; h < NH + NKV; h++) {
      const head = n * W + h * HS;
      if (turns) turn(dqkv, head, HS, turns, n % T, -1);
      if (!rstd) continue;
      const which = h < NH ? "q" : "k";
      const scale = rstd[n * (NH + NKV) + h];
      let pull = 0;
      for (let c = 0; c < HS; c++) {
        const normed = qkv[head + c] * scale;
        if (dgains) dgains[which][c] += dqkv[head + c] * normed;
        if (gains) dqkv[head + c] *= gains[which][c];
        pull += dqkv[head + c] * normed;
      }
      pull /= HS;
      for (let c = 0; c < HS; c++) {
        dqkv[head + c] = scale * (dqkv[head + c] - qkv[head + c] * scale * pull);
      }
    }
  }
}

/** Turns a head by its position's angles, or back by them. */
export function turn(
  values: Values,
  head: number,
  HS: number,
  { cos, sin }: Turns,
  t: number,
  direction: 1 | -1,
): void {
  const half = HS / 2;
  for (let i = 0; i < half; i++) {
    const [x, y] = [values[head + i], values[head + half + i]];
    const [c, s] = [cos[t * half + i], direction * sin[t * half + i]];
    values[head + i] = x * c - y * s;
    values[head + half + i] = y * c + x * s;
  }
}
