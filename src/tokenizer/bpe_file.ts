// A byte-level BPE tokenizer as a tokenizer.json of Hugging Face: their readers encode with it as we do.

import type { BpeParts } from "./bpe.ts";
import { toByteChars } from "./byte_chars.ts";
import { patterns } from "./pretokens.ts";
import type { TokenizerFile } from "./tokenizer.ts";
import { specialToken } from "./vocabulary.ts";

export function huggingFaceFile({ tokens, merges, special, pattern }: BpeParts): TokenizerFile {
  const ids = new Set(special.values());
  const names = tokens.map(toByteChars);
  const { left, right, size } = merges.pairs;
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  const split = { type: "Split", pattern: { Regex: patterns[pattern] } };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Array.from(special, ([name, id]) => specialToken(name, id)),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        // Not ByteLevel's own pattern: what white space is to it depends on who reads it.
        { ...split, behavior: "Isolated", invert: false },
        { ...byteLevel, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(
        names.map((name, id) => [name, id] as const).filter(([, id]) => !ids.has(id)),
      ),
      merges: Array.from({ length: size }, (_, i) => [names[left[i]], names[right[i]]]),
    },
  };
}
