// What is told of a text before it is trained on.

import type { Config } from "../config.ts";
import { type Coverage, coverage } from "./coverage.ts";
import type { TextSize, TokenizedText } from "./tokenized.ts";

export interface TextFacts extends Coverage, TextSize {
  format: Config["format"];
  /** Which format `auto` is here, and why: "text: …"; null where the format was asked for. */
  format_reason: string | null;
  /** What of the text was left out, each with its number: "3 bad lines". */
  skipped: readonly string[];
  /** Kind of the tokenizer: char, word, bpe… */
  tokenizer: string;
  /** Why `auto` is this tokenizer here; null where it was asked for. */
  tokenizer_reason: string | null;
  vocab_size: number;
  /** Tokens of the text that stand for what has none of its own. */
  num_unknown: number;
}

export function textFacts(
  { text, tokenizer_reason }: { text: TokenizedText; tokenizer_reason: string | null },
  block_size: number,
): TextFacts {
  const { format, format_reason, skipped, tokenizer, num_unknown, size } = text;
  const { kind, vocab_size } = tokenizer;
  return {
    ...coverage(text, block_size),
    ...size,
    format,
    format_reason,
    skipped,
    tokenizer: kind,
    tokenizer_reason,
    vocab_size,
    num_unknown,
  };
}
