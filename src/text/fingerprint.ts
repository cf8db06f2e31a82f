// What tells two texts apart, as a run sees them: by all tokens in their order, and by the vocabulary.

import type { Tokens } from "./split.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** SHA-256 in hexadecimal digits; what the context cuts off the documents has no part in it. */
export async function fingerprint(tokens: Tokens, tokenizer: Tokenizer): Promise<string> {
  const chars = new TextEncoder().encode(JSON.stringify(tokenizer.toJSON()));
  const sequences = tokens instanceof Int32Array ? [tokens] : tokens;
  const size = sequences.reduce((sum, { byteLength }) => sum + byteLength, chars.length);
  const bytes = new Uint8Array(size);
  let end = 0;
  for (const { buffer, byteOffset, byteLength } of sequences) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), end);
    end += byteLength;
  }
  bytes.set(chars, end);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
