// How much of a text a context reads: documents longer than it are cut.

import { isStream } from "../choices.ts";
import type { TokenizedText } from "./tokenized.ts";

export interface Coverage {
  /** Documents of which only the first block_size tokens are used. */
  num_truncated: number;
  /** Tokens that all documents are, or the stream, and those of them that lie beyond the context. */
  num_text_tokens: number;
  num_unread: number;
  /** The context that reads 99 % of a text of which more is unread, and else all; null if it is a huge one. */
  fitting_block_size: number | null;
}

/** Part of a text whose loss is no matter. */
const SPARED = 0.01;
/** Contexts are suggested up to here, in steps of so many tokens. */
const HUGE = 1024;
const STEP = 8;

export function coverage({ format, ids, starts }: TokenizedText, block_size: number): Coverage {
  const num_text_tokens = ids.length;
  if (isStream(format)) {
    return { num_truncated: 0, num_text_tokens, num_unread: 0, fitting_block_size: block_size };
  }
  let num_truncated = 0;
  let num_unread = 0;
  let tokens = 0;
  /** Documents by their tokens, the one that ends them included; those that no suggested context holds, their rest. */
  const counts = new Float64Array(HUGE + 1);
  let documents = 0;
  let beyond = 0;
  for (let d = 0; d + 1 < starts.length; d++) {
    const length = starts[d + 1] - starts[d];
    if (length + 1 > block_size) num_truncated++;
    num_unread += Math.max(0, length - block_size);
    tokens += length + 1;
    if (length + 1 <= HUGE) {
      counts[length + 1]++;
    } else {
      documents++;
      beyond += length + 1 - HUGE;
    }
  }
  const spared = num_unread > SPARED * num_text_tokens ? SPARED * tokens : 0;
  // From the largest context down: each leaves one token more of every document that is longer.
  let fitting = beyond <= spared ? HUGE : null;
  for (let size = HUGE - 1; size >= 1 && beyond <= spared; size--) {
    documents += counts[size + 1];
    beyond += documents;
    if (beyond <= spared && size % STEP === 0) fitting = size;
  }
  return { num_truncated, num_text_tokens, num_unread, fitting_block_size: fitting };
}
