// Text to token ids and back.

import { plural } from "../count.ts";
import { ModelFileError, UnknownCharacterError } from "../errors.ts";

/** Gives the ids of a text's tokens. */
export interface Tokenizer {
  /** Number of token ids (V), the special ones included. */
  readonly vocab_size: number;
  /** Id of the token that begins and ends a document. */
  readonly bos: number;
  /** Id of the token after which a model of a stream begins to write: the newline's, or else the first one. */
  readonly start: number;
  /** Ids of the text's tokens; never a special id. Throws UnknownCharacterError. */
  encode(text: string): number[];
  /** The text of some tokens; the special ones have none. */
  decode(ids: Iterable<number>): string;
  /** UTF-8 bytes of a token's text; the special ones have none. */
  byteLength(id: number): number;
  /** What tokenizer.json holds; tokenizerFromJSON() reads it back. */
  toJSON(): TokenizerFile;
}

/** A tokenizer as JSON. */
export interface TokenizerFile {
  type: "char";
  /** Ids 0..n-1 in order. */
  chars: string[];
  /** Special tokens and their ids. */
  special_tokens: { bos: number };
}

/** microgpt's tokenizer: the sorted characters are ids 0..n-1, BOS is n. */
export class CharTokenizer implements Tokenizer {
  private readonly ids: Map<string, number>;
  readonly chars: readonly string[];

  constructor(chars: readonly string[]) {
    this.chars = chars;
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

  get vocab_size(): number {
    return this.chars.length + 1;
  }

  get bos(): number {
    return this.chars.length;
  }

  get start(): number {
    return this.ids.get("\n") ?? 0;
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

  byteLength(id: number): number {
    return new TextEncoder().encode(this.chars[id] ?? "").length;
  }

  toJSON(): TokenizerFile {
    return { type: "char", chars: [...this.chars], special_tokens: { bos: this.bos } };
  }
}

/** @throws ModelFileError if `file` is no tokenizer of a kind known here */
export function tokenizerFromJSON(file: unknown): Tokenizer {
  const { type, chars, special_tokens } = (file ?? {}) as Partial<TokenizerFile>;
  const good =
    type === "char" &&
    Array.isArray(chars) &&
    chars.every((char) => typeof char === "string" && [...char].length === 1) &&
    new Set(chars).size === chars.length &&
    special_tokens?.bos === chars.length;
  if (!good) {
    throw new ModelFileError(
      `The tokenizer file is not one of ours: it needs "type": "char", "chars" (distinct single ` +
        `characters) and "special_tokens": {"bos": the number of characters}.`,
    );
  }
  return new CharTokenizer(chars);
}
