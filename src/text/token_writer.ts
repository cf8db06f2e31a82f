// Ids of tokens as they come, kept in as few bytes each as the vocabulary allows, or put where there is more room.

import type { Ids } from "../ids.ts";
import { IdBuffer, widthOf } from "./id_buffer.ts";
import type { IdStore, StoredIds } from "./stored_ids.ts";

export class TokenWriter {
  private readonly buffer: IdBuffer;

  /**
   * @param expected tokens
   * @param store where they are put; in memory where absent
   * @throws DataError if they are too many for memory
   */
  constructor(vocab_size: number, expected: number, store?: IdStore) {
    const what = { source: "The text", things: "tokens" };
    this.buffer = new IdBuffer(what, widthOf(vocab_size), expected, store);
  }

  /** Tokens that were pushed. */
  get length(): number {
    return this.buffer.length;
  }

  /** @throws DataError if they are too many for memory */
  push(ids: ArrayLike<number>): void {
    const { buffer } = this;
    buffer.reserve(ids.length);
    buffer.ids.set(ids, buffer.written);
    buffer.written += ids.length;
  }

  /** All that was pushed; nothing can be pushed after that. */
  end(): Ids | StoredIds {
    return this.buffer.end([]);
  }
}
