// A token for each character.

import { plural } from "../count.ts";
import { ModelFileError, UnknownCharacterError } from "../errors.ts";
import { isLead } from "../surrogates.ts";
import { CHARACTERS_BOS } from "./bos.ts";
import type { Cut, Tokenizer } from "./tokenizer.ts";

/** A CharTokenizer as JSON. */
export type CharFile = {
  type: "char";
  /** Ids 0..n-1 in order. */
  chars: string[];
  /** Special tokens and their ids, which follow those of the characters: BOS is the first. */
  special_tokens: Record<string, number>;
};

/** microgpt's tokenizer: the sorted characters are ids 0..n-1, BOS is n, and other special tokens follow. */
export class CharTokenizer implements Tokenizer {
  readonly kind = "char";
  readonly chars: readonly string[];
  readonly special: ReadonlyMap<string, number>;
  private readonly ids: Map<string, number>;

  /** @param more names of special tokens beside BOS */
  constructor(chars: readonly string[], more: readonly string[] = []) {
    this.chars = chars;
    this.special = new Map([CHARACTERS_BOS, ...more].map((name, i) => [name, chars.length + i]));
    this.ids = new Map(chars.map((char, id) => [char, id]));
  }

  static fromDocuments(documents: readonly string[]): CharTokenizer {
    const chars = new Set<string>();
    for (const document of documents) for (const char of document) chars.add(char);
    return CharTokenizer.fromCharacters([...chars]);
  }

  /** @param chars distinct ones, in any order */
  static fromCharacters(chars: readonly string[]): CharTokenizer {
    return new CharTokenizer(chars.toSorted((a, b) => a.codePointAt(0)! - b.codePointAt(0)!));
  }

  /** @throws ModelFileError if `file` is none */
  static fromJSON(file: unknown): CharTokenizer {
    const { type, chars, special_tokens } = (file ?? {}) as Partial<CharFile>;
    const good =
      type === "char" &&
      Array.isArray(chars) &&
      chars.every((char) => typeof char === "string" && [...char].length === 1) &&
      new Set(chars).size === chars.length;
    const special = Object.entries(special_tokens ?? {}).toSorted(([, a], [, b]) => a - b);
    const [[first] = []] = special;
    if (!good || first !== CHARACTERS_BOS || special.some(([, id], i) => id !== chars.length + i)) {
      throw new ModelFileError(
        `The tokenizer file is not one of ours: it needs "type": "char", "chars" (distinct single ` +
          `characters) and "special_tokens": {"${CHARACTERS_BOS}": the number of characters}.`,
      );
    }
    return new CharTokenizer(
      chars,
      special.slice(1).map(([name]) => name),
    );
  }

  get vocab_size(): number {
    return this.chars.length + this.special.size;
  }

  get bos(): number {
    return this.chars.length;
  }

  get start(): number {
    return this.ids.get("\n") ?? 0;
  }

  withSpecial(names: readonly string[]): CharTokenizer {
    const [, ...more] = new Set([...this.special.keys(), ...names]);
    return new CharTokenizer(this.chars, more);
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const char of text) {
      const id = this.ids.get(char);
      if (id === undefined) throw this.unknown(char, ids.length);
      ids.push(id);
    }
    return ids;
  }

  certain(text: string): Cut {
    const { length } = text;
    const end = isLead(text.charCodeAt(length - 1)) ? length - 1 : length;
    return { end, next: end };
  }

  private unknown(char: string, position: number): UnknownCharacterError {
    const code = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    const known = this.chars.slice(0, 100).join("") + (this.chars.length > 100 ? "…" : "");
    return new UnknownCharacterError(
      `The model has no token for ${JSON.stringify(char)} (U+${code}, character ${position + 1} of the text); ` +
        `it knows the ${plural(this.chars.length, "character")} ${JSON.stringify(known)} it was trained on. ` +
        `Leave the character out, or train on text that has it.`,
    );
  }

  decode(ids: Iterable<number>): string {
    let text = "";
    for (const id of ids) text += this.chars[id] ?? "";
    return text;
  }

  bytes(id: number): Uint8Array {
    return new TextEncoder().encode(this.chars[id] ?? "");
  }

  byteLength(id: number): number {
    return this.bytes(id).length;
  }

  toJSON(): CharFile {
    return {
      type: "char",
      chars: [...this.chars],
      special_tokens: Object.fromEntries(this.special),
    };
  }
}
