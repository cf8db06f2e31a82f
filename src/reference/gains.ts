// RMSNorm with a learned gain on each channel.

import { dot } from "./product.ts";
import type { Values } from "./values.ts";

/** out (N, C) = inp · rstd · gain (C), with rstd (N) = 1 / sqrt(mean(inp²) + eps). */
export function rmsnormGainForward(
  out: Values,
  rstd: Values,
  inp: Values,
  gain: Values,
  { N, C, eps }: { N: number; C: number; eps: number },
): void {
  for (let n = 0; n < N; n++) {
    const scale = 1 / Math.sqrt(dot(inp, n * C, inp, n * C, C) / C + eps);
    for (let c = 0; c < C; c++) out[n * C + c] = inp[n * C + c] * scale * gain[c];
    rstd[n] = scale;
  }
}

/**
 * With normed = inp · rstd: dgain (C) = sum over the rows of dout · normed; and with dnormed = dout · gain
 * dinp (N, C) = rstd · (dnormed - normed · mean(dnormed · normed)), added to what dinp holds if `accumulate`: there the
 * residual's gradient already stands.
 */
export function rmsnormGainBackward(
  dinp: Values,
  dgain: Values,
  dout: Values,
  inp: Values,
  rstd: Values,
  gain: Values,
  { N, C, accumulate }: { N: number; C: number; accumulate: boolean },
): void {
  dgain.fill(0);
  for (let n = 0; n < N; n++) {
    const scale = rstd[n];
    let pull = 0;
    for (let c = 0; c < C; c++) {
      const normed = inp[n * C + c] * scale;
      dgain[c] += dout[n * C + c] * normed;
      pull += dout[n * C + c] * gain[c] * normed;
    }
    pull /= C;
    for (let c = 0; c < C; c++) {
      const before = accumulate ? dinp[n * C + c] : 0;
      const d = dout[n * C + c] * gain[c] - inp[n * C + c] * scale * pull;
      dinp[n * C + c] = before + scale * d;
    }
  }
}
