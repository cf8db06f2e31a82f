// The text of tokens as they come: a character whose bytes are those of several tokens is there once it is whole.

import type { Tokenizer } from "./tokenizer.ts";

/** What the bytes of an unfinished character are decoded to. */
const UNFINISHED = "\uFFFD";

export class TextStream {
  private readonly tokenizer: Tokenizer;
  /** The last tokens: those that the next ones may depend on, and those that are not shown yet. */
  private tokens: number[] = [];
  /** How many of them are shown. */
  private shown = 0;

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** The text that these tokens complete. */
  push(ids: Iterable<number>): string {
    for (const id of ids) this.tokens.push(id);
    const { before, all } = this.texts();
    return all.endsWith(UNFINISHED) && all.length > before.length ? "" : this.take(before, all);
  }

  /** The text that was waiting for more. */
  end(): string {
    const { before, all } = this.texts();
    return this.take(before, all);
  }

  private texts() {
    const { tokenizer, tokens, shown } = this;
    return { before: tokenizer.decode(tokens.slice(0, shown)), all: tokenizer.decode(tokens) };
  }

  private take(before: string, all: string): string {
    this.tokens = this.tokens.slice(this.shown);
    this.shown = this.tokens.length;
    return all.slice(before.length);
  }
}
