// A token for each word and each sign: the most frequent ones of a text, and one for all others.

import { ConfigError, DataError, ModelFileError } from "../errors.ts";
import { BOS } from "./bos.ts";
import { Counts } from "./counts.ts";
import type { Cut, Tokenizer } from "./tokenizer.ts";

/** What the token of unknown words is shown as. */
const UNKNOWN = "⁇";

/** Words, as \w+ has them in Unicode's sense, or single signs; white space is left out. A longer word is cut. */
export const WORDS = String.raw`[\p{L}\p{M}\p{N}_]{1,1000}|[^\p{L}\p{M}\p{N}_\p{White_Space}]`;
const words = new RegExp(WORDS, "gu");
/** UTF-16 code units of 1000 characters. */
const LONGEST = 2000;
/** What is no part of a word, halves of surrogate pairs apart. */
const parting = /[^\p{L}\p{M}\p{N}_\p{Cs}]/u;

/** How much of a text is cut into the same words whatever follows. */
function certainLength(text: string): number {
  const least = Math.max(0, text.length - LONGEST);
  for (let i = text.length; i > least; i--) if (parting.test(text[i - 1])) return i;
  // One long word.
  let end = 0;
  for (const { 0: word, index } of text.matchAll(words)) {
    if (index + LONGEST >= text.length) break;
    end = index + word.length;
  }
  return end;
}

/** A WordTokenizer as JSON. */
export type WordFile = {
  type: "word";
  /** Ids 0..n-1 in order; n is the token of all other words. */
  words: string[];
  /** Special tokens and their ids, which follow: BOS is the first. */
  special_tokens: Record<string, number>;
};

/** Counts words. */
export class WordCounts extends Counts {
  protected certainLength(text: string): number {
    return certainLength(text);
  }

  protected read(text: string): void {
    for (const [word] of text.matchAll(words)) this.count(word);
  }
}

/**
 * The words that are there most often; of equal ones those whose UTF-16 code units come first.
 * @param vocab_size ids at most: words, the unknown one, BOS and the other special tokens
 * @throws ConfigError if vocab_size leaves no room for a word
 * @throws DataError if there are no words
 */
export function trainWords(
  { counts, total }: WordCounts,
  vocab_size: number,
  special: readonly string[] = [],
): WordTokenizer {
  const most = vocab_size - 2 - special.length;
  if (!Number.isInteger(vocab_size) || most < 1) {
    throw new ConfigError(
      "vocab_size",
      `vocab_size is ${vocab_size}; words need a whole number from ${3 + special.length} on: a word, the unknown ` +
        `one, and the special tokens.`,
    );
  }
  if (total === 0) throw new DataError("The text has no words; at least one is needed.");
  const known = [...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, most);
  return new WordTokenizer(
    known.map(([word]) => word),
    special,
  );
}

/**
 * White space is not kept. decode() puts a space between two tokens, but none before a sign that closes or ends
 * something, none after one that opens something, and none on either side of ' ’ - /.
 */
export class WordTokenizer implements Tokenizer {
  readonly kind = "word";
  readonly words: readonly string[];
  readonly special: ReadonlyMap<string, number>;
  private readonly ids: Map<string, number>;

  /** @param more names of special tokens beside BOS */
  constructor(known: readonly string[], more: readonly string[] = []) {
    this.words = known;
    this.ids = new Map(known.map((word, id) => [word, id]));
    this.special = new Map([BOS, ...more].map((name, i) => [name, known.length + 1 + i]));
  }

  /** @throws ModelFileError if `file` is none */
  static fromJSON(file: unknown): WordTokenizer {
    const { type, words: known, special_tokens } = (file ?? {}) as Partial<WordFile>;
    const isGood =
      type === "word" &&
      Array.isArray(known) &&
      known.every((word) => typeof word === "string" && word !== "") &&
      new Set(known).size === known.length;
    const special = Object.entries(special_tokens ?? {}).toSorted(([, a], [, b]) => a - b);
    const [[first] = []] = special;
    if (!isGood || first !== BOS || special.some(([, id], i) => id !== known.length + 1 + i)) {
      throw new ModelFileError(
        `The tokenizer file is not one of ours: it needs "type": "word", "words" (distinct ones) and ` +
          `"special_tokens": {"${BOS}": the number of words + 1}.`,
      );
    }
    return new WordTokenizer(
      known,
      special.slice(1).map(([name]) => name),
    );
  }

  get vocab_size(): number {
    return this.words.length + 1 + this.special.size;
  }

  /** Id of the token of words that are not known. */
  get unknown_id(): number {
    return this.words.length;
  }

  get bos(): number {
    return this.words.length + 1;
  }

  get start(): number {
    return 0;
  }

  withSpecial(names: readonly string[]): WordTokenizer {
    const [, ...more] = new Set([...this.special.keys(), ...names]);
    return new WordTokenizer(this.words, more);
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const [word] of text.matchAll(words)) ids.push(this.ids.get(word) ?? this.unknown_id);
    return ids;
  }

  certain(text: string): Cut {
    const end = certainLength(text);
    return { end, next: end };
  }

  decode(ids: Iterable<number>): string {
    let text = "";
    let before = "";
    for (const id of ids) {
      const word = this.textOf(id);
      if (word === "") continue;
      const isApart = before !== "" && !opens(before) && !closes(word);
      text += isApart ? ` ${word}` : word;
      before = word;
    }
    return text;
  }

  /** With the space before it, where one stands before most tokens of its kind. */
  bytes(id: number): Uint8Array {
    const word = this.textOf(id);
    return new TextEncoder().encode(word === "" || closes(word) ? word : ` ${word}`);
  }

  byteLength(id: number): number {
    return this.bytes(id).length;
  }

  toJSON(): WordFile {
    return {
      type: "word",
      words: [...this.words],
      special_tokens: Object.fromEntries(this.special),
    };
  }

  private textOf(id: number): string {
    return id === this.unknown_id ? UNKNOWN : (this.words[id] ?? "");
  }
}

const opens = (sign: string) => /^[([{«“‘¿¡#@$£€'’\-/]$/u.test(sign);
const closes = (sign: string) => /^[)\]}»”.,;:!?…%。，、；：！？'’\-/]$/u.test(sign);
