// A text whose every row's logits are wanted, and nothing drawn.

import { Reader } from "./reader.ts";
import type { TextRow } from "./engine.ts";

export class ScoredText {
  /** Of one chunk at a time. */
  readonly reader = new Reader<Float32Array>(1);
  slot: number | undefined;
  saved: ArrayBuffer | undefined;
  private readonly tokens: readonly number[];
  private read = 0;

  constructor(tokens: readonly number[]) {
    this.tokens = tokens;
    if (tokens.length === 0) this.reader.end();
  }

  rows(most: number): TextRow[] {
    const { read, tokens, slot } = this;
    return tokens
      .slice(read, read + most)
      .map((id, i) => ({ slot: slot!, position: read + i, id }));
  }

  take(logits: readonly Float32Array[]): void {
    for (const line of logits) this.reader.push(line);
    this.read += logits.length;
    if (this.read === this.tokens.length) this.reader.end();
  }
}
