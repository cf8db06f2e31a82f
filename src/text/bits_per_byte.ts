// A loss in bits for each byte of the text: what models with different vocabularies can be compared by.

import { numTargets } from "./documents.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** How many tokens are predicted, and how many UTF-8 bytes of text they are; special tokens are none. */
export interface TargetSize {
  tokens: number;
  bytes: number;
}

/** Of sequences of which tokens but the first are predicted, unless they are ~id. */
export function sizeOfTargets(sequences: readonly Int32Array[], tokenizer: Tokenizer): TargetSize {
  const lengths = Array.from({ length: tokenizer.vocab_size }, (_, id) => tokenizer.byteLength(id));
  let tokens = 0;
  let bytes = 0;
  for (const sequence of sequences) {
    tokens += numTargets(sequence);
    for (let t = 1; t < sequence.length; t++) if (sequence[t] >= 0) bytes += lengths[sequence[t]];
  }
  return { tokens, bytes };
}

/**
 * @param loss mean over the tokens, in nats
 * @returns loss · tokens / (ln 2 · bytes); null where the tokens are no text
 */
export function bitsPerByte(loss: number, { tokens, bytes }: TargetSize): number | null {
  return bytes === 0 ? null : (loss * tokens) / (Math.LN2 * bytes);
}
