// What byte-level BPE learns from a text: again and again the pair of neighbours that is there most often becomes a
// token, within pre-tokens. Counts are kept up to date where a merge changes them, so that it costs what it changes.

import { ConfigError, DataError } from "../errors.ts";
import { BOS } from "./bos.ts";
import { BpeTokenizer } from "./bpe.ts";
import type { PretokenCounts } from "./count_pretokens.ts";
import { Sequences } from "./bpe_sequences.ts";
import { Pairs } from "./pairs.ts";

export interface BpeTraining {
  /** Ids that the tokenizer has at most, the bytes and the special tokens included. */
  vocab_size: number;
  /** Names of special tokens beside BOS; all of them get the last ids. */
  special?: readonly string[];
  /** Called now and then: tokens learnt, of how many at most. */
  progress?: (learnt: number, most: number) => void;
}

const MIN_VOCAB_SIZE = 260;
const MAX_VOCAB_SIZE = 65_536;

/**
 * Learns a tokenizer, a part at a time. Ids 0 to 255 are the bytes; the pair that is there most often becomes the next
 * token. Of pairs that are there equally often the one with the smaller left id is first, and of these the one with
 * the smaller right id, so that the same counts give the same tokenizer on every machine. It ends early where no pair
 * is there twice. Where tokens overlap, as in aaa, all pairs count and the leftmost is merged.
 * @throws ConfigError if vocab_size cannot be
 * @throws DataError if there is nothing to learn from
 */
export function* trainBpe(
  { counts, pattern }: PretokenCounts,
  { vocab_size, special: more = [], progress }: BpeTraining,
): Generator<void, BpeTokenizer> {
  const special = [...new Set([BOS, ...more])];
  const least = Math.max(MIN_VOCAB_SIZE, 256 + special.length);
  if (!Number.isInteger(vocab_size) || vocab_size < least || vocab_size > MAX_VOCAB_SIZE) {
    throw new ConfigError(
      "vocab_size",
      `vocab_size is ${vocab_size}; BPE needs a whole number from ${least} to ${MAX_VOCAB_SIZE}: ` +
        `256 bytes, the special tokens, and what it learns.`,
    );
  }
  if (counts.size === 0) throw new DataError("The text is empty; BPE needs one to learn from.");
  const most = vocab_size - 256 - special.length;
  const text = yield* Sequences.from(counts);
  const tokens: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const learnt = new Pairs();
  while (learnt.size < most) {
    const pair = text.best();
    if (pair < 0) break;
    const left = text.pairs.left[pair];
    const right = text.pairs.right[pair];
    learnt.add(left, right);
    yield* text.merge(pair, tokens.length);
    tokens.push(concat(tokens[left], tokens[right]));
    progress?.(learnt.size, most);
    yield;
  }
  const results = Int32Array.from({ length: learnt.size }, (_, rank) => 256 + rank);
  const names = new Map(special.map((name, i) => [name, tokens.length + i]));
  return new BpeTokenizer({
    tokens: [...tokens, ...special.map(() => new Uint8Array(0))],
    merges: { pairs: learnt, results },
    special: names,
    bos: tokens.length,
    pattern,
  });
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
