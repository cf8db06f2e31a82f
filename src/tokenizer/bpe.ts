// Byte-level byte-pair encoding: every byte is a token, so that no text is unknown, and what was learnt joins them.

import { finish } from "../finish.ts";
import { huggingFaceFile } from "./bpe_file.ts";
import { type Merges, merge, mergeShort, SHORT } from "./merge.ts";
import { type BpePattern, certainLength, scans } from "./pretokens.ts";
import { Remembered } from "./remembered.ts";
import type { Cut, Tokenizer, TokenizerFile } from "./tokenizer.ts";

/** All that a BpeTokenizer is made of. */
export interface BpeParts {
  /** The bytes of each id; none of special ones. */
  tokens: readonly Uint8Array[];
  merges: Merges;
  /** Special tokens and their ids. */
  special: ReadonlyMap<string, number>;
  /** Id of the one that begins and ends a document. */
  bos: number;
  pattern: BpePattern;
}

/** Pre-tokens between two turns of the caller's. */
const PART = 2 ** 12;

const utf8 = new TextEncoder();
/** UTF-8 bytes of a UTF-16 code unit at most. */
const BYTES = 3;
/** The bytes of a short pre-token, and its ids. */
const shortBytes = new Uint8Array(SHORT);
const shortIds = new Int32Array(SHORT);

/**
 * Text is UTF-8 to it: half of a surrogate pair, which has no bytes there, is read as U+FFFD. Everything else comes
 * back from decode() as it was.
 */
export class BpeTokenizer implements Tokenizer {
  readonly kind = "bpe";
  readonly tokens: readonly Uint8Array[];
  readonly merges: Merges;
  readonly special: ReadonlyMap<string, number>;
  readonly bos: number;
  readonly pattern: BpePattern;
  /** Id of each byte. */
  private readonly byteIds = new Int32Array(256);
  private readonly remembered = new Remembered();

  constructor({ tokens, merges, special, bos, pattern }: BpeParts) {
    this.tokens = tokens;
    this.merges = merges;
    this.special = special;
    this.bos = bos;
    this.pattern = pattern;
    tokens.forEach((bytes, id) => {
      if (bytes.length === 1) this.byteIds[bytes[0]] = id;
    });
  }

  get vocab_size(): number {
    return this.tokens.length;
  }

  get start(): number {
    return this.byteIds[0x0a];
  }

  withSpecial(names: readonly string[]): BpeTokenizer {
    const { merges, bos, pattern, vocab_size } = this;
    const fresh = [...new Set(names)].filter((name) => !this.special.has(name));
    const added = fresh.map((name, i) => [name, vocab_size + i] as const);
    const tokens = [...this.tokens, ...fresh.map(() => new Uint8Array(0))];
    const special = new Map([...this.special, ...added]);
    return new BpeTokenizer({ tokens, merges, special, bos, pattern });
  }

  encode(text: string): number[] {
    return finish(this.encoding(text));
  }

  /** The same, a part at a time, so that the event loop can be left free between them. */
  *encoding(text: string): Generator<void, number[]> {
    const { remembered } = this;
    const scan = scans[this.pattern];
    const ids: number[] = [];
    let count = 0;
    for (let from = 0, end; from < text.length; from = end) {
      end = scan(text, from);
      const isShort = end - from <= SHORT / BYTES;
      const word = isShort ? remembered.find(text, from, end) : -1;
      if (word >= 0) {
        const last = remembered.starts[word + 1];
        for (let i = remembered.starts[word]; i < last; i++) ids.push(remembered.ids[i]);
      } else if (isShort) {
        const length = this.mergeShort(text.slice(from, end));
        for (let i = 0; i < length; i++) ids.push(shortIds[i]);
        remembered.enter(text, from, end, shortIds, length);
      } else {
        yield* this.merging(utf8.encode(text.slice(from, end)), ids);
      }
      if (++count % PART === 0) yield;
    }
    return ids;
  }

  certain(text: string): Cut {
    const end = certainLength(text, this.pattern);
    return { end, next: end };
  }

  decode(ids: Iterable<number>): string {
    const parts = Array.from(ids, (id) => this.bytes(id));
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  bytes(id: number): Uint8Array {
    return this.tokens[id] ?? new Uint8Array(0);
  }

  byteLength(id: number): number {
    return this.bytes(id).length;
  }

  toJSON(): TokenizerFile {
    return huggingFaceFile(this);
  }

  private *merging(bytes: Uint8Array, ids: number[]): Generator<void> {
    const own = new Int32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) own[i] = this.byteIds[bytes[i]];
    const length = yield* merge(own, own.length, this.merges);
    for (let i = 0; i < length; i++) ids.push(own[i]);
  }

  /** Puts the ids of a short pre-token into shortIds. @returns how many */
  private mergeShort(pretoken: string): number {
    const { written } = utf8.encodeInto(pretoken, shortBytes);
    for (let i = 0; i < written; i++) shortIds[i] = this.byteIds[shortBytes[i]];
    return mergeShort(shortIds, written, this.merges);
  }
}
