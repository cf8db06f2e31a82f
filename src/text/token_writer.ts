// Ids of tokens as they come, kept in as few bytes each as the vocabulary allows, or put where there is more room.

import { DataError } from "../errors.ts";
import type { Ids } from "./ids.ts";
import type { IdStore, StoredIds } from "./stored_ids.ts";

/** Tokens of a text at most: where a document begins is kept in 32 bits. */
const MOST = 2 ** 32 - 1;

/** Tokens that wait to be put into a store. */
const BUFFERED = 2 ** 18;

export class TokenWriter {
  private ids: Ids;
  /** How many of them are written. */
  private written = 0;
  /** Those that were put into the store before. */
  private stored = 0;
  private readonly store: IdStore | undefined;

  /**
   * @param expected tokens
   * @param store where they are put; in memory where absent
   */
  constructor(vocab_size: number, expected: number, store?: IdStore) {
    const Kind =
      vocab_size <= 2 ** 8 ? Uint8Array : vocab_size <= 2 ** 16 ? Uint16Array : Uint32Array;
    this.ids = new Kind(store ? BUFFERED : Math.max(expected, 1024));
    this.store = store;
  }

  /** Tokens that were pushed. */
  get length(): number {
    return this.stored + this.written;
  }

  /** @throws DataError if they are too many for memory */
  push(ids: ArrayLike<number>): void {
    if (this.store && this.written + ids.length > this.ids.length) this.empty();
    const written = this.written + ids.length;
    if (this.stored + written > MOST) throw tooMany();
    if (written > this.ids.length) this.grow(written);
    this.ids.set(ids, this.written);
    this.written = written;
  }

  /** All that was pushed; nothing can be pushed after that. */
  end(): Ids | StoredIds {
    if (this.store === undefined) return this.ids.subarray(0, this.written);
    this.empty();
    return this.store.end([]);
  }

  private empty(): void {
    this.store!.append(this.ids.subarray(0, this.written));
    this.stored += this.written;
    this.written = 0;
  }

  private grow(length: number): void {
    const { ids } = this;
    const Same = ids.constructor as new (length: number) => Ids;
    try {
      this.ids = new Same(Math.min(MOST, Math.max(length, 2 * ids.length)));
      this.ids.set(ids);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw tooMany();
    }
  }
}

function tooMany(): DataError {
  return new DataError(
    `The text has too many tokens for this machine's memory; train on a part of it.`,
  );
}
