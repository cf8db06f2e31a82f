// One stream of tokens, to train on random windows of it. Which ones is a pure function of seed and step, so that
// a run can be resumed at any step.

import { uniformAt } from "../philox.ts";
import type { Segment } from "./blocks.ts";
import type { Ids } from "../ids.ts";
import { readIds, type StoredIds } from "./stored_ids.ts";

/** Ids of all tokens of a text. */
export type Stream = Ids | Int32Array | StoredIds;

export class TokenStream {
  /** (n) token ids, n > block_size. */
  readonly tokens: Stream;
  readonly block_size: number;
  private readonly seed: number;
  /** The parts that windows lie in, and how many starts there are up to the end of each. */
  readonly segments: readonly Segment[];
  private readonly starts: Float64Array;

  /** @param segments parts of more than block_size tokens that windows lie in; all of it where absent */
  constructor(
    tokens: Stream,
    { block_size, seed }: { block_size: number; seed: number },
    segments: readonly Segment[] = [[0, tokens.length]],
  ) {
    this.tokens = tokens;
    this.block_size = block_size;
    this.seed = seed;
    this.segments = segments;
    this.starts = new Float64Array(segments.length);
    let sum = 0;
    segments.forEach(([start, end], i) => {
      sum += Math.max(0, end - start - block_size);
      this.starts[i] = sum;
    });
  }

  /**
   * The b-th window of block_size + 1 tokens for `step` (from 0). Every start at which one fits is equally likely,
   * whatever was drawn before; windows may overlap.
   */
  windowAt(step: number, b: number): Int32Array {
    const { tokens, block_size, seed, starts, segments } = this;
    const drawn = uniformAt(seed, step, b, starts[starts.length - 1]);
    let [first, last] = [0, starts.length - 1]; // the first segment with a larger sum
    while (first < last) {
      const middle = (first + last) >> 1;
      if (starts[middle] > drawn) last = middle;
      else first = middle + 1;
    }
    const start = segments[first][0] + drawn - (first > 0 ? starts[first - 1] : 0);
    return new Int32Array(readIds(tokens, start, start + block_size + 1));
  }
}
