// A text of characters to one of other tokens, a part at a time.

import type { Config } from "../config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { turnTokens } from "./chat.ts";
import type { Conversation } from "./conversation.ts";
import type { Corpus } from "./corpus.ts";
import type { Ids } from "../ids.ts";
import { readIds, type StoredIds } from "./stored_ids.ts";
import { TokenWriter } from "./token_writer.ts";
import { type TextSize, TokenizedText } from "./tokenized.ts";

/** Characters that are encoded between two turns of the caller's. */
const PIECE = 2 ** 16;

/** Told how many characters of how many are done. */
export type Tell = (done: number, total: number) => void;

class Encoded extends TokenizedText {
  readonly format: Config["format"];
  readonly format_reason: string | null;
  readonly size: TextSize;
  readonly skipped: readonly string[];
  readonly tokenizer: Tokenizer;
  readonly ids: Ids | StoredIds;
  readonly starts: Uint32Array;

  constructor(corpus: Corpus, tokenizer: Tokenizer, ids: Ids | StoredIds, starts: Uint32Array) {
    super();
    this.format = corpus.format;
    this.format_reason = corpus.format_reason;
    this.size = corpus.size;
    this.skipped = corpus.skipped;
    this.tokenizer = tokenizer;
    this.ids = ids;
    this.starts = starts;
  }
}

/**
 * The text in a tokenizer's tokens; in its own characters it is there already.
 * @throws UnknownCharacterError if the tokenizer lacks one of its characters
 */
export function* tokenizeInParts(
  corpus: Corpus,
  tokenizer: Tokenizer,
  tell: Tell = () => {},
): Generator<void, TokenizedText> {
  if (tokenizer === corpus.tokenizer) return corpus;
  const { conversations } = corpus;
  const cached = corpus.cache?.tokens(tokenizer);
  const before = cached?.recall();
  if (before) return new Encoded(corpus, tokenizer, before.ids, before.starts);
  const writer = new TokenWriter(tokenizer.vocab_size, corpus.ids.length / 2, cached);
  tell(0, corpus.ids.length);
  const starts = new Uint32Array(corpus.num_docs + 1);
  let ids: Ids | StoredIds | undefined;
  try {
    for (let d = 0; d < corpus.num_docs; d++) {
      if (conversations.length === 0) yield* encode(corpus, d, tokenizer, writer, tell);
      else yield* encodeTurns(conversations[d], tokenizer, writer);
      starts[d + 1] = writer.length;
    }
    ids = writer.end();
  } finally {
    if (ids === undefined) cached?.discard();
    else cached?.keep(starts, {});
  }
  tell(corpus.ids.length, corpus.ids.length);
  return new Encoded(corpus, tokenizer, ids, starts);
}

/** A document may be a whole book: what of it is sure is encoded as it comes. */
function* encode(
  { ids, starts, tokenizer: { chars } }: Corpus,
  document: number,
  tokenizer: Tokenizer,
  writer: TokenWriter,
  tell: Tell,
): Generator<void> {
  const last = starts[document + 1];
  let held = "";
  for (let from = starts[document]; from < last; from += PIECE) {
    const to = Math.min(last, from + PIECE);
    const text = held + textOf(readIds(ids, from, to), chars);
    const { length } = text;
    const { end, next } = to === last ? { end: length, next: length } : tokenizer.certain(text);
    const part = text.slice(0, end);
    writer.push(tokenizer.encoding ? yield* tokenizer.encoding(part) : tokenizer.encode(part));
    held = text.slice(next);
    tell(to, ids.length);
    yield;
  }
}

function* encodeTurns(
  turns: Conversation,
  tokenizer: Tokenizer,
  writer: TokenWriter,
): Generator<void> {
  for (const turn of turns) {
    writer.push(turnTokens(tokenizer, turn));
    yield;
  }
}

function textOf(ids: Ids, chars: readonly string[]): string {
  let text = "";
  for (let i = 0; i < ids.length; i++) text += chars[ids[i]];
  return text;
}
