// What tells two texts apart, as a run sees them: by all tokens in their order, and by the vocabulary.

import type { Config } from "../config.ts";
import type { Corpus } from "./corpus.ts";
import { lengthAt } from "./documents.ts";
import { isOneStream, type Tokens } from "./split.ts";
import { readIds } from "./stored_ids.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Bytes that are hashed at once: of more, the hashes of such pieces are. */
const PIECE = 2 ** 26;
/** Tokens that are made bytes at a time. */
const WINDOW = 2 ** 16;

/**
 * SHA-256 in hexadecimal digits; what the context cuts off the documents has no part in it.
 * @param piece bytes that are hashed at once; for tests
 */
export async function fingerprint(
  tokens: Tokens,
  tokenizer: Tokenizer,
  piece = PIECE,
): Promise<string> {
  const chars = new TextEncoder().encode(JSON.stringify(tokenizer.toJSON()));
  const size = chars.length + 4 * countTokens(tokens);
  const buffer = new Uint8Array(Math.min(piece, size));
  const digests: Uint8Array<ArrayBuffer>[] = [];
  let end = 0;
  const digest = async (bytes: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  for (const bytes of parts(tokens, chars)) {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + buffer.length - end);
      buffer.set(part, end);
      end += part.length;
      from += part.length;
      if (end < buffer.length) continue;
      digests.push(await digest(buffer));
      end = 0;
    }
  }
  if (end > 0) digests.push(await digest(buffer.subarray(0, end)));
  const [hash] =
    digests.length === 1
      ? digests
      : [await digest(new Uint8Array(await new Blob(digests).arrayBuffer()))];
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The same; of a text that memory has no room for it is kept, by what decides which tokens come when. */
export async function keptFingerprint(
  { cache }: Pick<Corpus, "cache">,
  config: Pick<Config, "format" | "block_size" | "seed" | "loss_on" | "skip_long">,
  tokens: Tokens,
  tokenizer: Tokenizer,
): Promise<string> {
  const { format, block_size, seed, loss_on, skip_long } = config;
  const key = ["fingerprint", format, block_size, seed, loss_on, skip_long, tokenizer.toJSON()];
  const known = cache?.recall(key);
  if (typeof known === "string") return known;
  const text = await fingerprint(tokens, tokenizer);
  cache?.keep(key, text);
  return text;
}

function countTokens(tokens: Tokens): number {
  if (isOneStream(tokens)) return tokens.length;
  let count = 0;
  for (let d = 0; d < tokens.length; d++) count += lengthAt(tokens, d);
  return count;
}

/** All bytes in their order: each token's four, then the vocabulary's. */
function* parts(tokens: Tokens, chars: Uint8Array): Generator<Uint8Array> {
  const bytes = ({ buffer, byteOffset, byteLength }: Int32Array) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  if (isOneStream(tokens)) {
    for (let from = 0; from < tokens.length; from += WINDOW) {
      const to = Math.min(tokens.length, from + WINDOW);
      yield bytes(new Int32Array(readIds(tokens, from, to)));
    }
  } else {
    const window = new Int32Array(WINDOW);
    let end = 0;
    for (let d = 0; d < tokens.length; d++) {
      const sequence = tokens.at(d)!;
      if (end + sequence.length > WINDOW) {
        yield bytes(window.subarray(0, end));
        end = 0;
      }
      if (sequence.length > WINDOW) {
        yield bytes(sequence);
      } else {
        window.set(sequence, end);
        end += sequence.length;
      }
    }
    yield bytes(window.subarray(0, end));
  }
  yield chars;
}
