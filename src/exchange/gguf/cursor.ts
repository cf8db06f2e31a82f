// Goes through a GGUF file's bytes from its beginning, and takes nothing that is not there.

import { ModelFileError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte_source.ts";
import { show } from "../../strict_json.ts";

/** Bytes that are read ahead. */
const WINDOW = 2 ** 16;
/** Of a text; the longest ones, templates of chats, have some 10 KB. */
const LONGEST_TEXT = 2 ** 24;
/** Texts of a file: one of a small piece takes more memory than room in the file. */
const MOST_TEXTS = 2 ** 22;

export class Cursor {
  /** Of the next byte. */
  at = 0;
  private readonly source: ByteSource;
  private readonly utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  private window: Uint8Array = new Uint8Array(0);
  private view = new DataView<ArrayBufferLike>(this.window.buffer);
  /** Of the window. */
  private begin = 0;
  private texts = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** Bytes behind what was taken. */
  get rest(): number {
    return this.source.size - this.at;
  }

  /** @param what is taken, for the message */
  u32(what: string): number {
    const at = this.take(4, what);
    return this.view.getUint32(at, true);
  }

  /** A whole number of 64 bits that counts something; Infinity where a number is not exact, which is too many of all. */
  count(what: string): number {
    const number = this.u64(what);
    return number <= Number.MAX_SAFE_INTEGER ? Number(number) : Infinity;
  }

  u64(what: string): bigint {
    const at = this.take(8, what);
    return this.view.getBigUint64(at, true);
  }

  /** A text without NUL, its length before it. */
  text(what: string): string {
    const length = this.count(`the length of ${what}`);
    if (length > this.rest) {
      this.fail(`${what} should have ${told(length)} bytes, and ${this.rest} follow`);
    }
    if (length > LONGEST_TEXT) {
      this.fail(`${what} has ${length} bytes, and ${LONGEST_TEXT} are the most that are read`);
    }
    if (++this.texts > MOST_TEXTS) this.fail(`it has more than ${MOST_TEXTS} texts`);
    const bytes = this.bytes(length, what);
    if (bytes.includes(0)) this.fail(`${what} holds the character NUL`);
    try {
      return this.utf8.decode(bytes);
    } catch {
      return this.fail(`${what} is not UTF-8`);
    }
  }

  /** Bytes, valid until more is taken. */
  bytes(length: number, what: string): Uint8Array {
    const at = this.take(length, what);
    return this.window.subarray(at, at + length);
  }

  /** @param what is wrong, the end of a sentence */
  fail(what: string): never {
    throw notGguf(this.source.name, what);
  }

  /** @returns where in the window the taken bytes are */
  private take(length: number, what: string): number {
    if (length > this.rest) this.fail(`it ends within ${what}`);
    const end = this.at + length;
    if (end > this.begin + this.window.length) {
      const stop = Math.min(this.source.size, Math.max(end, this.at + WINDOW));
      const { buffer, byteOffset } = (this.window = this.source.read(this.at, stop));
      this.view = new DataView(buffer, byteOffset, this.window.length);
      this.begin = this.at;
    }
    const at = this.at - this.begin;
    this.at = end;
    return at;
  }
}

/** A count for a message. */
export function told(count: number): string {
  return count === Infinity ? "more than 2^53" : String(count);
}

/** @param what is wrong, the end of a sentence */
export function notGguf(where: string, what: string): ModelFileError {
  return new ModelFileError(
    `${where} is not a GGUF file that can be used: ${what}. Nothing is imported; get the file again, or import another.`,
  );
}

/** The name of a key or a tensor, for a message. */
export function named(kind: string, name: string): string {
  return `${kind} ${show(name)}`;
}
