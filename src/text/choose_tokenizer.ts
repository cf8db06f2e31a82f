// The tokenizer of a text: which one `auto` is, judged by how long the text is and how many characters it knows, and how
// many tokens are learnt where nobody said.

import { isLearned } from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import { count } from "../count.ts";

/** Characters of a text from which on tokens of several characters are worth their parameters. */
const LONG = 2_000_000;
/** The same for a text with a large alphabet, whose rare characters would hardly be trained. */
const LONG_ENOUGH = 100_000;
const LARGE_ALPHABET = 512;

/** Tokens for each channel at most: the embedding should not be most of the model. */
const TOKENS_A_CHANNEL = 64;
const FEWEST = 512;
const MOST = 32_768;

/** Of what is asked for; without n_embd of a tokenizer alone, whose size no model has to suit. */
type Asked = Pick<ConfigChoice, "tokenizer" | "vocab_size"> & Partial<Pick<Config, "n_embd">>;

/** What of a corpus decides. */
interface Measures {
  size: { num_chars: number };
  /** Of its characters. */
  tokenizer: { chars: { length: number } };
}

interface TokenizerChoice extends Pick<Config, "tokenizer" | "vocab_size"> {
  /** Why `auto` is this one, as the end of a sentence; null where it was asked for. */
  tokenizer_reason: string | null;
}

export function chooseTokenizer(asked: Asked, text: Measures): TokenizerChoice {
  const { num_chars } = text.size;
  const [tokenizer, tokenizer_reason] =
    asked.tokenizer === "auto"
      ? charOrBpe(asked.vocab_size, num_chars, text.tokenizer.chars.length)
      : [asked.tokenizer, null];
  const vocab_size = isLearned(tokenizer) ? asked.vocab_size || usualSize(num_chars, asked) : 0;
  return { tokenizer, vocab_size, tokenizer_reason };
}

function charOrBpe(
  vocab_size: number,
  length: number,
  alphabet: number,
): ["char" | "bpe", why: string] {
  // Of characters there would be nothing to choose.
  if (vocab_size > 0) return ["bpe", `vocab_size is ${vocab_size}`];
  const isLarge = alphabet > LARGE_ALPHABET;
  const isLong = length >= (isLarge ? LONG_ENOUGH : LONG);
  const distinct = `it has ${count(alphabet)} different characters`;
  if (isLong) return ["bpe", isLarge ? distinct : `it has ${count(length)} characters`];
  return ["char", isLarge ? `it has only ${count(length)} characters` : distinct];
}

/** The power of two that is nearest to the square root of the number of characters, within bounds. */
function usualSize(length: number, { n_embd = Infinity }: Asked): number {
  const most = Math.min(MOST, Math.max(FEWEST, n_embd * TOKENS_A_CHANNEL));
  return Math.min(most, Math.max(FEWEST, 2 ** Math.round(Math.log2(length) / 2)));
}
