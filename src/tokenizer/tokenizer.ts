// What a tokenizer is: text to the ids of its tokens and back.

import type { Ids } from "../ids.ts";

/** Where a text can be cut: its ids are those of text.slice(0, end) and those of text.slice(next). */
export interface Cut {
  end: number;
  /** Behind a space that has no id there, or `end`. */
  next: number;
}

/** Gives the ids of a text's tokens. */
export interface Tokenizer {
  /** What it is called where it is told of: char, word, bpe. */
  readonly kind: string;
  /** Number of token ids (V), the special ones included. */
  readonly vocab_size: number;
  /** Id of the token that begins and ends a document. */
  readonly bos: number;
  /** Id of the token after which a model of a stream begins to write: the newline's, or else the first one. */
  readonly start: number;
  /** The special tokens, which stand for no text, and their ids; `bos` is among the ids. */
  readonly special: ReadonlyMap<string, number>;
  /** The same one with more special tokens, whose ids follow all others. */
  withSpecial(names: readonly string[]): Tokenizer;
  /** Ids of the text's tokens; never a special id. Throws UnknownCharacterError. */
  encode(text: string): number[] | Ids;
  /** The same, a part at a time, so that the event loop can be left free between them; encode() does where absent. */
  encoding?(text: string): Generator<void, number[] | Ids>;
  /** The last place of a text that goes on where it can be cut, whatever follows; 0 where there is none so far. */
  certain(text: string): Cut;
  /** Id of the token that stands for whatever has none; undefined where all has one, or is refused. */
  readonly unknown_id?: number;
  /** The text of some tokens; the special ones have none. */
  decode(ids: Iterable<number>): string;
  /** A token's text in UTF-8, which need not be whole characters; none of a special one or of an unknown id. */
  bytes(id: number): Uint8Array;
  /** How many bytes() there are. */
  byteLength(id: number): number;
  /** What tokenizer.json holds; tokenizerFromJSON() reads it back. */
  toJSON(): TokenizerFile;
}

/** A tokenizer as JSON. */
export type TokenizerFile = Readonly<Record<string, unknown>>;
