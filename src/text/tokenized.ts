// A text as tokens: their ids, and the places where its documents begin.

import { isChat, isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { chatIds } from "./chat.ts";
import { type ChatConfig, Conversations } from "./conversations.ts";
import { Documents } from "./documents.ts";
import type { Ids } from "../ids.ts";
import type { Tokens } from "./split.ts";
import { partsOf, readIds, type StoredIds } from "./stored_ids.ts";

/** How much text it is. */
export interface TextSize {
  num_chars: number;
  /** In UTF-8. */
  num_bytes: number;
}

/** What was left out of the text as it was read, and as it was cut to a context. */
export function skippedOf(text: TokenizedText, tokens: Tokens): readonly string[] {
  return tokens instanceof Conversations ? [...text.skipped, ...tokens.skipped] : text.skipped;
}

export abstract class TokenizedText {
  abstract readonly format: Config["format"];
  /** Which format `auto` is, and why: "text: few long lines"; null where the format was asked for. */
  abstract readonly format_reason: string | null;
  abstract readonly tokenizer: Tokenizer;
  /** Of all documents, one after the other, or of the stream. */
  abstract readonly ids: Ids | StoredIds;
  /** Where each document begins in `ids`, and after the last one where it ends; a stream is one document. */
  abstract readonly starts: Uint32Array;
  abstract readonly size: TextSize;
  /** What was left out as it was read, each with its number: "3 bad lines". */
  abstract readonly skipped: readonly string[];

  /** How often the token stands there that is for whatever has none. */
  get num_unknown(): number {
    const { ids, tokenizer } = this;
    const { unknown_id } = tokenizer;
    let count = 0;
    if (unknown_id === undefined) return count;
    for (const part of partsOf(ids)) {
      for (let i = 0; i < part.length; i++) if (part[i] === unknown_id) count++;
    }
    return count;
  }

  get num_docs(): number {
    return this.starts.length - 1;
  }

  /** The text of a document. */
  document(index: number): string {
    return this.tokenizer.decode(readIds(this.ids, this.starts[index], this.starts[index + 1]));
  }

  /**
   * The stream, or the documents cut to a context, in the order of the text where it is undefined.
   * @param chat what is learnt of conversations
   * @throws DataError if the context has no room for an answer of one of them
   */
  tokens(
    block_size: number,
    order: Uint32Array | undefined,
    { loss_on, skip_long }: Omit<ChatConfig, "block_size">,
  ): Documents | Ids | StoredIds {
    const { format, ids, starts, tokenizer } = this;
    const { bos } = tokenizer;
    if (isStream(format)) return ids;
    if (!isChat(format)) return new Documents(ids, starts, bos, block_size, order);
    const source = { ids: readIds(ids, 0, ids.length), starts, bos, chat: chatIds(tokenizer) };
    return Conversations.of(source, { block_size, loss_on, skip_long }, order);
  }
}
