// Characters to numbers, as a text comes in: each distinct character gets the next number, and the text is kept as
// these numbers alone, of one byte where there are few of them, or put where there is more room.

import { DataError } from "../errors.ts";
import { isLead } from "../surrogates.ts";
import type { Ids, IdStore, StoredIds } from "./stored_ids.ts";

export type { Ids };

/** Characters that wait to be put into a store. */
const BUFFERED = 2 ** 21;

/** Characters of a text at most: where a document begins is kept in 32 bits. */
const MOST = 2 ** 32 - 1;

export class IdWriter {
  /** The character of each number. */
  readonly chars: string[] = [];
  private ids: Ids;
  /** How many of them are written. */
  private written = 0;
  /** Those that were put into the store before. */
  private stored = 0;
  private readonly store: IdStore | undefined;
  /** The number of each code unit that is a character by itself; -1 where it has none yet. */
  private readonly units = new Int32Array(2 ** 16).fill(-1);
  /** The number of each character that is not, by its code point. */
  private readonly others = new Map<number, number>();
  private readonly source: string;

  /**
   * @param source where the text comes from, for the messages
   * @param expected characters, if that is known
   * @param store where they are put; in memory where absent
   */
  constructor(source: string, expected = 2 ** 16, store?: IdStore) {
    this.source = source;
    this.store = store;
    this.ids = store
      ? new Uint16Array(BUFFERED)
      : this.attempt(() => new Uint8Array(Math.min(expected, MOST)));
  }

  /** Characters that were pushed. */
  get length(): number {
    return this.stored + this.written;
  }

  /** @throws DataError if the text is too large for memory */
  push(text: string): void {
    if (this.store && this.written + text.length > this.ids.length) this.empty();
    this.reserve(this.written + text.length);
    const { units } = this;
    let { ids, written: length } = this;
    for (let i = 0; i < text.length; i++) {
      let id = units[text.charCodeAt(i)];
      if (id < 0) {
        const code = text.codePointAt(i)!;
        if (code > 0xffff) i++;
        id = this.idOf(code, length);
        ({ ids } = this); // a new one may have made it wider
      }
      ids[length++] = id;
    }
    this.written = length;
  }

  /** The numbers of all that was pushed; nothing can be pushed after that. */
  end(): Ids | StoredIds {
    if (this.store === undefined) return this.ids.subarray(0, this.written);
    this.empty();
    return this.store.end(this.chars);
  }

  private empty(): void {
    this.store!.append(this.ids.subarray(0, this.written));
    this.stored += this.written;
    this.written = 0;
  }

  private idOf(code: number, written: number): number {
    let id = this.others.get(code);
    if (id !== undefined) return id;
    id = this.chars.push(String.fromCodePoint(code)) - 1;
    // What follows a lead decides what it is.
    if (code > 0xffff || isLead(code)) this.others.set(code, id);
    else this.units[code] = id;
    const { ids } = this;
    if (id === 2 ** (8 * ids.BYTES_PER_ELEMENT)) {
      const Wider = ids instanceof Uint8Array ? Uint16Array : Uint32Array;
      this.ids = this.attempt(() => new Wider(ids.length));
      this.ids.set(ids.subarray(0, written));
    }
    return id;
  }

  private reserve(length: number): void {
    if (this.stored + length > MOST) {
      throw new DataError(
        `${this.source} has more than ${MOST.toLocaleString("en-US")} characters; train on a part of it.`,
      );
    }
    if (length <= this.ids.length) return;
    const { ids } = this;
    const Same = ids.constructor as new (length: number) => Ids;
    this.ids = this.attempt(() => new Same(Math.min(MOST, Math.max(length, 2 * ids.length))));
    this.ids.set(ids);
  }

  private attempt(allocate: () => Ids): Ids {
    try {
      return allocate();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new DataError(
        `${this.source} is too large for this machine's memory; train on a part of it.`,
      );
    }
  }
}
