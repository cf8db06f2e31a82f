// Dropout as plain loops; which elements it leaves out is fixed in model/dropout.ts.

import { type DropoutKey, DropoutWords, threshold } from "../model/dropout.ts";
import type { Values } from "./values.ts";

interface Sizes {
  /** Of the batch at hand. */
  B: number;
  T: number;
  C: number;
  /** Positions of the context, by which elements are counted. */
  context: number;
  /** The batch's first row among those of the step. */
  row: number;
  dropout: number;
}

/**
 * out (B, T, C) = inp where an element is kept, times 1 / (1 - dropout), and 0 where it is left out; out may be inp. The
 * same to the gradient is the backward pass.
 */
export function dropout(out: Values, inp: Values, key: DropoutKey, sizes: Sizes): void {
  const { B, T, C, context, row } = sizes;
  const least = threshold(sizes.dropout);
  const scale = 1 / (1 - sizes.dropout);
  const words = new DropoutWords(key);
  for (let b = 0; b < B; b++) {
    const first = (row + b) * context * C; // of the row's elements
    for (let i = 0; i < T * C; i++) {
      const o = b * T * C + i;
      out[o] = words.at(first + i) < least ? 0 : inp[o] * scale;
    }
  }
}

/** out (B, T, C) = x + dropout(out): what a block adds to the residual stream. */
export function dropoutResidual(out: Values, x: Values, key: DropoutKey, sizes: Sizes): void {
  dropout(out, out, key, sizes);
  const size = sizes.B * sizes.T * sizes.C;
  for (let i = 0; i < size; i++) out[i] += x[i];
}
