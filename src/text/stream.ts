// One stream of tokens, to train on random windows of it. Which ones is a pure function of seed and step, so that
// a run can be resumed at any step.

import { uniformAt } from "../philox.ts";
import type { Tokenizer } from "./tokenizer.ts";

export class TokenStream {
  /** (n) token ids, n > block_size. */
  readonly tokens: Int32Array;
  private readonly block_size: number;
  private readonly seed: number;

  constructor(tokens: Int32Array, { block_size, seed }: { block_size: number; seed: number }) {
    this.tokens = tokens;
    this.block_size = block_size;
    this.seed = seed;
  }

  /**
   * B windows of block_size + 1 tokens for `step` (from 0). Every start at which one fits is equally likely,
   * whatever was drawn before; windows may overlap.
   */
  windowsAt(step: number, B: number): Int32Array[] {
    const { tokens, block_size, seed } = this;
    return Array.from({ length: B }, (_, b) => {
      const start = uniformAt(seed, step, b, tokens.length - block_size);
      return tokens.subarray(start, start + block_size + 1);
    });
  }
}

/** Code units that are encoded at a time: an array of all ids of a long text would be large. */
const PIECE = 2 ** 16;

/** Ids of a text of any length. */
export function encodeText(text: string, tokenizer: Tokenizer): Int32Array {
  const ids = new Int32Array(text.length); // a token has one code unit at least
  let length = 0;
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = start + PIECE;
    if (text.codePointAt(end - 1)! > 0xffff) end++; // not in the middle of a character
    const piece = tokenizer.encode(text.slice(start, end));
    ids.set(piece, length);
    length += piece.length;
  }
  return ids.subarray(0, length);
}
