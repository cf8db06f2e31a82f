// A text to train on, as the ids of its characters and the places where its documents begin: a byte or two for each
// character, and no string of it.

import { isChat } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Conversation } from "./conversation.ts";
import { CharTokenizer } from "../tokenizer/char.ts";
import type { Ids } from "../ids.ts";
import { partsOf, readIds, StoredIds, type TokenCache } from "./stored_ids.ts";
import { type TextSize, TokenizedText } from "./tokenized.ts";

/** A text by numbers of its characters, which need not be in their order. */
export interface Characters {
  ids: Ids | StoredIds;
  /** The character of each number. */
  chars: readonly string[];
}

export class Corpus extends TokenizedText {
  readonly format: Config["format"];
  readonly format_reason: string | null;
  readonly tokenizer: CharTokenizer;
  readonly ids: Ids | StoredIds;
  readonly starts: Uint32Array;
  private bytes: number | undefined;

  readonly skipped: readonly string[];
  /** The documents of a chat, whose characters are what all turns say; none of any other format. */
  readonly conversations: readonly Conversation[];
  /** Where its tokens are put, if memory has no room for them. */
  readonly cache: TokenCache | undefined;

  /** @param characters its ids are taken over, and renumbered */
  constructor(
    { ids, chars }: Characters,
    starts: Uint32Array,
    format: Config["format"],
    {
      format_reason = null,
      skipped = [],
      conversations = [],
      cache,
    }: Partial<Pick<Corpus, "format_reason" | "skipped" | "conversations" | "cache">> = {},
  ) {
    super();
    this.tokenizer = CharTokenizer.fromCharacters(chars);
    const sorted = new Map(this.tokenizer.chars.map((char, id) => [char, id]));
    const renumbered = Uint32Array.from(chars, (char) => sorted.get(char)!);
    this.ids = renumber(ids, renumbered);
    this.starts = starts;
    this.format = format;
    this.format_reason = format_reason;
    this.skipped = skipped;
    this.conversations = conversations;
    this.cache = cache;
  }

  /** Of a document's text the first `most` characters. */
  start(index: number, most: number): string {
    const [from, to] = [this.starts[index], this.starts[index + 1]];
    return this.tokenizer.decode(readIds(this.ids, from, Math.min(to, from + most)));
  }

  /** A document as corpusOf() takes it: its text, or a conversation in JSON. */
  source(index: number): string {
    return isChat(this.format) ? JSON.stringify(this.conversations[index]) : this.document(index);
  }

  get size(): TextSize {
    const { ids, tokenizer } = this;
    if (this.bytes === undefined) {
      const lengths = Uint8Array.from(tokenizer.chars, (_, id) => tokenizer.byteLength(id));
      let sum = 0;
      for (const part of partsOf(ids))
        for (let i = 0; i < part.length; i++) sum += lengths[part[i]];
      this.bytes = sum;
    }
    return { num_chars: ids.length, num_bytes: this.bytes };
  }
}

/** In memory the numbers themselves become others. */
function renumber(ids: Ids | StoredIds, numbers: Uint32Array): Ids | StoredIds {
  if (ids instanceof StoredIds) return ids.renumbered(numbers);
  for (let i = 0; i < ids.length; i++) ids[i] = numbers[ids[i]];
  return ids;
}
