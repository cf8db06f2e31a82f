// RMSNorm with a learned gain on each channel.

import { rmsnormForward } from "./ops.ts";
import type { Values } from "./values.ts";

/** out (N, C) = inp · rstd · gain (C), with rstd (N) = 1 / sqrt(mean(inp²) + eps). */
export function rmsnormGainForward(
  out: Values,
  rstd: Values,
  inp: Values,
  gain: Values,
  { N, C, eps }: { N: number; C: number; eps: number },
): void {
  rmsnormForward(out, rstd, inp, { N, C, eps });
  for (let i = 0; i < N * C; i++) out[i] *= gain[i % C];
}

/**
 * With normed = inp · rstd: dgain (parts, C) = sums of dout · normed, over ceil(N / parts) rows each; and with
 * dnormed = dout · gain dinp (N, C) = rstd · (dnormed - normed · mean(dnormed · normed)), added to what dinp holds if `accumulate`: there the
 * residual's gradient already stands.
 */
export function rmsnormGainBackward(
  dinp: Values,
  dgain: Values,
  dout: Values,
  inp: Values,
  rstd: Values,
  gain: Values,
  { N, C, accumulate, parts = 1 }: { N: number; C: number; accumulate: boolean; parts?: number },
): void {
  dgain.fill(0);
  const rows = Math.ceil(N / parts);
  for (let n = 0; n < N; n++) {
    const scale = rstd[n];
    const part = Math.floor(n / rows) * C;
    let pull = 0;
    for (let c = 0; c < C; c++) {
      const normed = inp[n * C + c] * scale;
      dgain[part + c] += dout[n * C + c] * normed;
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

/** dgain (C) = the sum of parts (P, C). */
export function gainSum(dgain: Values, parts: Values, { P, C }: { P: number; C: number }): void {
  dgain.fill(0);
  for (let i = 0; i < P * C; i++) dgain[i % C] += parts[i];
}
