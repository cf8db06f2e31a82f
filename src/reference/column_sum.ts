// The sums of a matrix's columns: what is left to do where the rows' share in a gradient was made by many.

import type { Values } from "./values.ts";

/** out (C) = sum over n of inp (N, stride) [n, first + c]. */
export function columnSum(
  out: Values,
  inp: Values,
  { N, C, stride = C, first = 0 }: { N: number; C: number; stride?: number; first?: number },
): void {
  out.fill(0, 0, C);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) out[c] += inp[n * stride + first + c];
  }
}
