// Numbers as they come, in memory that grows with them, or put where there is more room.

import { count } from "../count.ts";
import { DataError } from "../errors.ts";
import type { Ids } from "../ids.ts";
import type { IdStore, StoredIds } from "./stored_ids.ts";

/** At most: where a document begins is kept in 32 bits. */
const MOST = 2 ** 32 - 1;

/** Those that wait to be put into a store. */
const BUFFERED = 2 ** 18;

const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array } as const;

/** Bytes that each number takes of so many different ones. */
export function widthOf(different: number): keyof typeof kinds {
  return different <= 2 ** 8 ? 1 : different <= 2 ** 16 ? 2 : 4;
}

export class IdBuffer {
  /** Those that are not in the store; what is behind `written` is no matter. */
  ids: Ids;
  /** How many of them are written. */
  written = 0;
  /** Those that were put into the store before. */
  private stored = 0;
  private readonly what: { source: string; things: string };
  private readonly store: IdStore | undefined;

  /**
   * @param what for the messages: where the text comes from, and what is numbered
   * @param width bytes of each
   * @param expected how many there will be, if that is known
   * @param store where they are put; in memory where absent
   * @throws DataError if they are too many for memory
   */
  constructor(
    what: { source: string; things: string },
    width: keyof typeof kinds,
    expected = 2 ** 16,
    store?: IdStore,
  ) {
    this.what = what;
    this.store = store;
    const length = store ? BUFFERED : Math.min(MOST, Math.max(1024, Math.floor(expected)));
    this.ids = this.attempt(kinds[width], length);
  }

  /** How many there are. */
  get length(): number {
    return this.stored + this.written;
  }

  /**
   * Makes room for some more.
   * @throws DataError if they are too many
   */
  reserve(more: number): void {
    if (this.length + more > MOST) {
      const { source, things } = this.what;
      throw new DataError(
        `${source} has more than ${count(MOST)} ${things}, which are the most; train on a part of it.`,
      );
    }
    if (this.store && this.written + more > this.ids.length) this.empty();
    const { ids, written } = this;
    if (written + more <= ids.length) return;
    const length = Math.min(MOST, Math.max(written + more, 2 * ids.length));
    this.copyTo(ids.BYTES_PER_ELEMENT as keyof typeof kinds, length, written);
  }

  /** @param written how many of `ids` are kept */
  widen(width: keyof typeof kinds, written: number): void {
    this.copyTo(width, this.ids.length, written);
  }

  /** All of them; none can be added after that. @param chars what each number stands for */
  end(chars: readonly string[]): Ids | StoredIds {
    if (this.store === undefined) return this.ids.subarray(0, this.written);
    this.empty();
    return this.store.end(chars);
  }

  private empty(): void {
    this.store!.append(this.ids.subarray(0, this.written));
    this.stored += this.written;
    this.written = 0;
  }

  private copyTo(width: keyof typeof kinds, length: number, written: number): void {
    const before = this.ids.subarray(0, written);
    this.ids = this.attempt(kinds[width], length);
    this.ids.set(before);
  }

  private attempt(Kind: (typeof kinds)[keyof typeof kinds], length: number): Ids {
    try {
      return new Kind(length);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const { source, things } = this.what;
      throw new DataError(
        `${source} is too large for this machine's memory: ${count(length)} ${things} take ` +
          `${count(Math.ceil((length * Kind.BYTES_PER_ELEMENT) / 2 ** 20))} MiB. Train on a part of it.`,
      );
    }
  }
}
