// Sums of products in float64, where the reference spends its time: as plain loops they wait for memory and
// for one another. Here a number, once read, serves several sums, and no sum waits for the one before.

import { endOf, firstOf, type Part } from "./parts.ts";
import type { Values } from "./values.ts";

/** Of a product: rows, columns, length of the sums; and how far the rows and columns of a and b lie apart. */
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
 * The rows of a part of out (M, N) = a (M, K) · b (K, N), in tiles of 2 rows and 4 columns: each turn reads 6 numbers
 * for 8 sums. The last tiles end at the edge, and make again what they share with the ones before.
 */
export function product(out: Values, a: Values, b: Values, sizes: Sizes, part: Part): void {
  const { M, N, K, aRow, aColumn, bRow, bColumn } = sizes;
  if (M === 1) {
    rowProduct(out, a, b, sizes, part);
    return;
  }
  // From a tile's first row and column to its others; in a product smaller than a tile some are the same.
  const m1 = Math.min(1, M - 1);
  const n1 = Math.min(1, N - 1);
  const n2 = Math.min(2, N - 1);
  const n3 = Math.min(3, N - 1);
  const aNext = m1 * aRow;
  const bNext1 = n1 * bColumn;
  const bNext2 = n2 * bColumn;
  const bNext3 = n3 * bColumn;
  const end = endOf(M, part);
  for (let top = firstOf(M, part); top < end; top += 2) {
    const m = Math.max(Math.min(top, M - 2), 0);
    for (let left = 0; left < N; left += 4) {
      const n = Math.max(Math.min(left, N - 4), 0);
      let sum00 = 0;
      let sum01 = 0;
      let sum02 = 0;
      let sum03 = 0;
      let sum10 = 0;
      let sum11 = 0;
      let sum12 = 0;
      let sum13 = 0;
      let i = m * aRow;
      let j = n * bColumn;
      for (let k = 0; k < K; k++) {
        const a0 = a[i];
        const a1 = a[i + aNext];
        const b0 = b[j];
        const b1 = b[j + bNext1];
        const b2 = b[j + bNext2];
        const b3 = b[j + bNext3];
        sum00 += a0 * b0;
        sum01 += a0 * b1;
        sum02 += a0 * b2;
        sum03 += a0 * b3;
        sum10 += a1 * b0;
        sum11 += a1 * b1;
        sum12 += a1 * b2;
        sum13 += a1 * b3;
        i += aColumn;
        j += bRow;
      }
      const o = m * N + n;
      out[o] = sum00;
      out[o + n1] = sum01;
      out[o + n2] = sum02;
      out[o + n3] = sum03;
      const below = o + m1 * N;
      out[below] = sum10;
      out[below + n1] = sum11;
      out[below + n2] = sum12;
      out[below + n3] = sum13;
    }
  }
}

/** product() of a single row, eight columns at a time: what is read serves one sum, and the same sums come of it. */
function rowProduct(out: Values, a: Values, b: Values, sizes: Sizes, part: Part): void {
  const { N, K, aColumn, bRow, bColumn } = sizes;
  if (endOf(1, part) === 0) return;
  let n = 0;
  for (; n + 8 <= N; n += 8) {
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    let sum5 = 0;
    let sum6 = 0;
    let sum7 = 0;
    let j = n * bColumn;
    for (let k = 0; k < K; k++) {
      const x = a[k * aColumn];
      sum0 += x * b[j];
      sum1 += x * b[j + bColumn];
      sum2 += x * b[j + 2 * bColumn];
      sum3 += x * b[j + 3 * bColumn];
      sum4 += x * b[j + 4 * bColumn];
      sum5 += x * b[j + 5 * bColumn];
      sum6 += x * b[j + 6 * bColumn];
      sum7 += x * b[j + 7 * bColumn];
      j += bRow;
    }
    out[n] = sum0;
    out[n + 1] = sum1;
    out[n + 2] = sum2;
    out[n + 3] = sum3;
    out[n + 4] = sum4;
    out[n + 5] = sum5;
    out[n + 6] = sum6;
    out[n + 7] = sum7;
  }
  for (; n < N; n++) {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += a[k * aColumn] * b[k * bRow + n * bColumn];
    out[n] = sum;
  }
}

/** The sum of a[i + c] · b[j + c] over c < size. */
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
