// What tells two texts apart, as a run sees them: by all tokens in their order, and by the vocabulary.

import type { Config } from "../config.ts";
import type { Corpus } from "./corpus.ts";
import { Breather } from "../platform/breather.ts";
import { countTokens, lengthAt, writeAt } from "./documents.ts";
import { isOneStream, type Tokens } from "./split.ts";
import { readIds } from "./stored_ids.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Bytes that are hashed at once: of more, the hashes of such pieces are. */
const PIECE = 2 ** 26;
/** Tokens that are made bytes at a time. */
const WINDOW = 2 ** 16;

interface FingerprintOptions {
  /** Bytes that are hashed at once; for tests. */
  piece?: number;
  /** Told how many tokens of how many are read. */
  tell?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/**
 * SHA-256 in hexadecimal digits; what the context cuts off the documents has no part in it.
 * @throws the signal's reason soon after it is aborted
 */
export async function fingerprint(
  tokens: Tokens,
  tokenizer: Tokenizer,
  { piece = PIECE, tell = () => {}, signal }: FingerprintOptions = {},
): Promise<string> {
  const chars = new TextEncoder().encode(JSON.stringify(tokenizer.toJSON()));
  const total = isOneStream(tokens) ? tokens.length : countTokens(tokens);
  const size = chars.length + 4 * total;
  const breather = new Breather();
  let read = 0;
  const buffer = new Uint8Array(Math.min(piece, size));
  const digests: Uint8Array<ArrayBuffer>[] = [];
  let end = 0;
  const digest = async (bytes: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  for (const bytes of parts(tokens, chars)) {
    tell(Math.min(read, total), total);
    if (breather.tired) await breather.rest();
    signal?.throwIfAborted();
    read += bytes.length / 4;
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
  tell(total, total);
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
  options: FingerprintOptions = {},
): Promise<string> {
  const { format, block_size, seed, loss_on, skip_long } = config;
  const key = ["fingerprint", format, block_size, seed, loss_on, skip_long, tokenizer.toJSON()];
  const known = cache?.recall(key);
  if (typeof known === "string") return known;
  const text = await fingerprint(tokens, tokenizer, options);
  cache?.keep(key, text);
  return text;
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
      const length = lengthAt(tokens, d);
      if (end + length > WINDOW) {
        yield bytes(window.subarray(0, end));
        end = 0;
      }
      if (length > WINDOW) yield bytes(tokens.at(d)!);
      else end = writeAt(tokens, d, window, end);
    }
    yield bytes(window.subarray(0, end));
  }
  yield chars;
}
