// A text to train on, as the ids of its characters and the places where its documents begin: a byte or two for each
// character, and no string of it.

import { isChat, isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import { Documents } from "./documents.ts";
import type { Conversation } from "./conversation.ts";
import type { Ids } from "./ids.ts";
import { CharTokenizer } from "../tokenizer/char.ts";

/** A text by numbers of its characters, which need not be in their order. */
export interface Characters {
  ids: Ids;
  /** The character of each number. */
  chars: readonly string[];
}

export class Corpus {
  readonly format: Config["format"];
  /** Which format `auto` is, and why: "text: few long lines"; null where the format was asked for. */
  readonly format_reason: string | null;
  readonly tokenizer: CharTokenizer;
  /** Of all documents, one after the other, or of the stream. */
  readonly ids: Ids;
  /** Where each document begins in `ids`, and after the last one where it ends; a stream is one document. */
  readonly starts: Uint32Array;

  /** What was left out as it was read, each with its number: "3 bad lines". */
  readonly skipped: readonly string[];
  /** The documents of a chat, whose characters are what all turns say; none of any other format. */
  readonly conversations: readonly Conversation[];

  /** @param characters its ids are taken over, and renumbered */
  constructor(
    { ids, chars }: Characters,
    starts: Uint32Array,
    format: Config["format"],
    {
      format_reason = null,
      skipped = [],
      conversations = [],
    }: Partial<Pick<Corpus, "format_reason" | "skipped" | "conversations">> = {},
  ) {
    this.tokenizer = CharTokenizer.fromCharacters(chars);
    const sorted = new Map(this.tokenizer.chars.map((char, id) => [char, id]));
    const renumbered = Uint32Array.from(chars, (char) => sorted.get(char)!);
    for (let i = 0; i < ids.length; i++) ids[i] = renumbered[ids[i]];
    this.ids = ids;
    this.starts = starts;
    this.format = format;
    this.format_reason = format_reason;
    this.skipped = skipped;
    this.conversations = conversations;
  }

  get num_docs(): number {
    return this.starts.length - 1;
  }

  /** The text of a document; of a conversation it is what all turns say. */
  document(index: number): string {
    return this.tokenizer.decode(this.ids.subarray(this.starts[index], this.starts[index + 1]));
  }

  /** A document as corpusOf() takes it: its text, or a conversation in JSON. */
  source(index: number): string {
    return isChat(this.format) ? JSON.stringify(this.conversations[index]) : this.document(index);
  }

  /** The stream, or the documents cut to a context, in the order of the text where none is given. */
  tokens(block_size: number, order?: Uint32Array): Documents | Ids {
    const { format, ids, starts, tokenizer } = this;
    return isStream(format) ? ids : new Documents(ids, starts, tokenizer.bos, block_size, order);
  }
}
