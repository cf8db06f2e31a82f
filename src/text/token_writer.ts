// Ids of tokens as they come, kept in as few bytes each as the vocabulary allows.

import { DataError } from "../errors.ts";
import type { Ids } from "./ids.ts";

/** Tokens of a text at most: where a document begins is kept in 32 bits. */
const MOST = 2 ** 32 - 1;

export class TokenWriter {
  length = 0;
  private ids: Ids;

  /** @param expected tokens */
  constructor(vocab_size: number, expected: number) {
    const Kind =
      vocab_size <= 2 ** 8 ? Uint8Array : vocab_size <= 2 ** 16 ? Uint16Array : Uint32Array;
    this.ids = new Kind(Math.max(expected, 1024));
  }

  /** @throws DataError if they are too many for memory */
  push(ids: ArrayLike<number>): void {
    const length = this.length + ids.length;
    if (length > this.ids.length) this.grow(length);
    this.ids.set(ids, this.length);
    this.length = length;
  }

  /** All that was pushed; nothing can be pushed after that. */
  end(): Ids {
    return this.ids.subarray(0, this.length);
  }

  private grow(length: number): void {
    const { ids } = this;
    const Same = ids.constructor as new (length: number) => Ids;
    try {
      this.ids = new Same(Math.min(MOST, Math.max(length, 2 * ids.length)));
      this.ids.set(ids);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new DataError(
        `The text has too many tokens for this machine's memory; train on a part of it.`,
      );
    }
  }
}
