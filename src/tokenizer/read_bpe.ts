// A byte-level BPE tokenizer from a tokenizer.json, ours or another's that works the same way.

import { isObject } from "../strict_json.ts";
import { BpeTokenizer } from "./bpe.ts";
import { fromByteChars, toByteChars } from "./byte_chars.ts";
import { Pairs } from "./pairs.ts";
import { type BpePattern, patterns } from "./pretokens.ts";
import { type Vocabulary, mergesOf } from "./vocabulary.ts";

type Json = Readonly<Record<string, unknown>>;

/** The patterns of others that cut as ours do. */
const others: readonly [pattern: string, BpePattern][] = [
  [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
      String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    "gpt4",
  ],
];

/**
 * @returns undefined if the file's tokenizer works in another way
 * @throws ModelFileError if its merges do not fit its vocabulary
 */
export function readBpe(file: Json, vocabulary: Vocabulary): BpeTokenizer | undefined {
  const { ids, special, bos, model, hasAddedText } = vocabulary;
  if (model.type !== "BPE") return undefined;
  const merges = mergesOf(vocabulary);
  const pattern = patternOf(file.pre_tokenizer);
  const { dropout, continuing_subword_prefix: prefix, end_of_word_suffix: suffix } = model;
  const isPlain = !dropout && !prefix && !suffix && model.ignore_merges !== true && !hasAddedText;
  const isByteLevel = isObject(file.decoder) && file.decoder.type === "ByteLevel";
  if (!isPlain || !isByteLevel || pattern === undefined || file.normalizer) return undefined;

  const tokens: Uint8Array[] = [];
  for (const [name, id] of ids) {
    const bytes = special.has(name) ? new Uint8Array(0) : fromByteChars(name);
    if (bytes === undefined) return undefined;
    tokens[id] = bytes;
  }
  for (let byte = 0; byte < 256; byte++) {
    const name = toByteChars(Uint8Array.of(byte));
    if (!ids.has(name) || special.has(name)) return undefined;
  }
  const pairs = new Pairs();
  for (const [left, right] of merges) pairs.add(ids.get(left)!, ids.get(right)!);
  if (pairs.size < merges.length) return undefined; // one is there twice
  const results = Int32Array.from(merges, ([left, right]) => ids.get(left + right)!);
  return new BpeTokenizer({ tokens, merges: { pairs, results }, special, bos, pattern });
}

function patternOf(pretokenizer: unknown): BpePattern | undefined {
  if (!isObject(pretokenizer)) return undefined;
  const { type, pretokenizers } = pretokenizer;
  if (type === "ByteLevel" && isBytes(pretokenizer, true)) return "gpt2";
  if (type !== "Sequence" || !Array.isArray(pretokenizers) || pretokenizers.length !== 2) {
    return undefined;
  }
  const [split, bytes]: unknown[] = pretokenizers;
  if (!isObject(split) || !isObject(split.pattern) || !isBytes(bytes, false)) return undefined;
  if (split.type !== "Split" || split.behavior !== "Isolated" || split.invert === true) {
    return undefined;
  }
  const { Regex: regex } = split.pattern;
  const own = Object.entries(patterns) as [BpePattern, string][];
  const known = [...own.map(([name, pattern]) => [pattern, name] as const), ...others];
  return known.find(([pattern]) => pattern === regex)?.[1];
}

function isBytes(pretokenizer: unknown, use_regex: boolean): boolean {
  return (
    isObject(pretokenizer) &&
    pretokenizer.type === "ByteLevel" &&
    pretokenizer.add_prefix_space !== true &&
    (pretokenizer.use_regex ?? true) === use_regex
  );
}
