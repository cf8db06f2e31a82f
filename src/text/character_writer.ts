// Characters to numbers, as a text comes in: each distinct character gets the next number, and the text is kept as
// these numbers alone, of one byte where there are few of them, or put where there is more room.

import type { Ids } from "../ids.ts";
import { isLead } from "../surrogates.ts";
import { IdBuffer, widthOf } from "./id_buffer.ts";
import type { IdStore, StoredIds } from "./stored_ids.ts";

export class CharacterWriter {
  /** The character of each number. */
  readonly chars: string[] = [];
  private readonly buffer: IdBuffer;
  /** The number of each code unit that is a character by itself; -1 where it has none yet. */
  private readonly units = new Int32Array(2 ** 16).fill(-1);
  /** The number of each character that is not, by its code point. */
  private readonly others = new Map<number, number>();

  /**
   * @param source where the text comes from, for the messages
   * @param expected characters, if that is known
   * @param store where they are put; in memory where absent
   * @throws DataError if the text is too large for memory
   */
  constructor(source: string, expected?: number, store?: IdStore) {
    this.buffer = new IdBuffer({ source, things: "characters" }, store ? 2 : 1, expected, store);
  }

  /** Characters that were pushed. */
  get length(): number {
    return this.buffer.length;
  }

  /** @throws DataError if the text is too large for memory */
  push(text: string): void {
    const { units, buffer } = this;
    buffer.reserve(text.length);
    let { ids, written } = buffer;
    for (let i = 0; i < text.length; i++) {
      let id = units[text.charCodeAt(i)];
      if (id < 0) {
        const code = text.codePointAt(i)!;
        if (code > 0xffff) i++;
        id = this.idOf(code, written);
        ({ ids } = buffer); // a new one may have made it wider
      }
      ids[written++] = id;
    }
    buffer.written = written;
  }

  /** The numbers of all that was pushed; nothing can be pushed after that. */
  end(): Ids | StoredIds {
    return this.buffer.end(this.chars);
  }

  private idOf(code: number, written: number): number {
    let id = this.others.get(code);
    if (id !== undefined) return id;
    id = this.chars.push(String.fromCodePoint(code)) - 1;
    // What follows a lead decides what it is.
    if (code > 0xffff || isLead(code)) this.others.set(code, id);
    else this.units[code] = id;
    const width = widthOf(this.chars.length);
    if (width > this.buffer.ids.BYTES_PER_ELEMENT) this.buffer.widen(width, written);
    return id;
  }
}
