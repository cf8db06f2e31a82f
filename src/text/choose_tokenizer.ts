// The tokenizer of a text: which one `auto` is, and how many tokens are learnt where nobody said.

import { isLearned } from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import * as auto from "../tokenizer/auto.ts";
import type { Corpus } from "./corpus.ts";

/** Tokens for each channel at most: the embedding should not be most of the model. */
const TOKENS_A_CHANNEL = 64;
const FEWEST = 512;

interface TokenizerChoice extends Pick<Config, "tokenizer" | "vocab_size"> {
  /** Which one `auto` is, and why: "char: …"; null where it was asked for. */
  tokenizer_reason: string | null;
}

export function chooseTokenizer(
  { tokenizer, vocab_size, n_embd }: Pick<ConfigChoice, "tokenizer" | "vocab_size" | "n_embd">,
  corpus: Corpus,
): TokenizerChoice {
  const { num_chars } = corpus.size;
  const most = Math.max(FEWEST, n_embd * TOKENS_A_CHANNEL);
  const size = vocab_size || Math.min(auto.vocabSizeFor(num_chars), most);
  if (tokenizer !== "auto") {
    return { tokenizer, vocab_size: isLearned(tokenizer) ? size : 0, tokenizer_reason: null };
  }
  // Of characters there would be nothing to choose.
  const found =
    vocab_size > 0
      ? ({ tokenizer: "bpe", why: `vocab_size is ${vocab_size}` } as const)
      : auto.chooseTokenizer(num_chars, corpus.tokenizer.chars.length);
  return {
    tokenizer: found.tokenizer,
    vocab_size: isLearned(found.tokenizer) ? size : 0,
    tokenizer_reason: `${found.tokenizer}: ${found.why}`,
  };
}
