// The matrix product in float64, of which every linear layer's forward and backward pass is made.

import type { Values } from "./ops.ts";

/** Rows, columns and length of the sums of a product; and how far apart the rows and columns of a and b lie. */
interface Sizes {
  M: number;
  N: number;
  K: number;
  aRow: number;
  aColumn: number;
  bRow: number;
  bColumn: number;
}

/**
 * out (M, N) = a (M, K) · b (K, N), in tiles of 2 rows and 4 columns: the six numbers of a and b that a turn
 * reads serve eight sums. Where a tile juts out, it makes the last row or column again.
 */
export function product(out: Values, a: Values, b: Values, sizes: Sizes): void {
  const { M, N, K, aRow, aColumn, bRow, bColumn } = sizes;
  for (let m = 0; m < M; m += 2) {
    const m1 = Math.min(m + 1, M - 1);
    for (let n = 0; n < N; n += 4) {
      const n1 = Math.min(n + 1, N - 1);
      const n2 = Math.min(n + 2, N - 1);
      const n3 = Math.min(n + 3, N - 1);
      const below = (m1 - m) * aRow;
      const right1 = (n1 - n) * bColumn;
      const right2 = (n2 - n) * bColumn;
      const right3 = (n3 - n) * bColumn;
      let s00 = 0,
        s01 = 0,
        s02 = 0,
        s03 = 0;
      let s10 = 0,
        s11 = 0,
        s12 = 0,
        s13 = 0;
      let i = m * aRow;
      let j = n * bColumn;
      for (let k = 0; k < K; k++) {
        const a0 = a[i];
        const a1 = a[i + below];
        const b0 = b[j];
        const b1 = b[j + right1];
        const b2 = b[j + right2];
        const b3 = b[j + right3];
        s00 += a0 * b0;
        s01 += a0 * b1;
        s02 += a0 * b2;
        s03 += a0 * b3;
        s10 += a1 * b0;
        s11 += a1 * b1;
        s12 += a1 * b2;
        s13 += a1 * b3;
        i += aColumn;
        j += bRow;
      }
      const o0 = m * N;
      const o1 = m1 * N;
      out[o0 + n] = s00;
      out[o0 + n1] = s01;
      out[o0 + n2] = s02;
      out[o0 + n3] = s03;
      out[o1 + n] = s10;
      out[o1 + n1] = s11;
      out[o1 + n2] = s12;
      out[o1 + n3] = s13;
    }
  }
}

/** The sum of the products of `size` numbers, of a from i on and of b from j on. */
export function dot(a: Values, i: number, b: Values, j: number, size: number): number {
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  let c = 0;
  for (; c + 4 <= size; c += 4) {
    sum0 += a[i + c] * b[j + c];
    sum1 += a[i + c + 1] * b[j + c + 1];
    sum2 += a[i + c + 2] * b[j + c + 2];
    sum3 += a[i + c + 3] * b[j + c + 3];
  }
  for (; c < size; c++) sum0 += a[i + c] * b[j + c];
  return sum0 + sum1 + (sum2 + sum3);
}
