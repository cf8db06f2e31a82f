// One stream of tokens, to train on random windows of it. Which ones is a pure function of seed and step, so that
// a run can be resumed at any step.

import { uniformAt } from "../philox.ts";
import type { Ids } from "./ids.ts";

/** Ids of all tokens of a text. */
export type Stream = Ids | Int32Array;

export class TokenStream {
  /** (n) token ids, n > block_size. */
  readonly tokens: Stream;
  readonly block_size: number;
  private readonly seed: number;

  constructor(tokens: Stream, { block_size, seed }: { block_size: number; seed: number }) {
    this.tokens = tokens;
    this.block_size = block_size;
    this.seed = seed;
  }

  /**
   * The b-th window of block_size + 1 tokens for `step` (from 0). Every start at which one fits is equally likely,
   * whatever was drawn before; windows may overlap.
   */
  windowAt(step: number, b: number): Int32Array {
    const { tokens, block_size, seed } = this;
    const start = uniformAt(seed, step, b, tokens.length - block_size);
    return new Int32Array(tokens.subarray(start, start + block_size + 1));
  }
}
