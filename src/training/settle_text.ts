// What the text decides of the settings that were left open: of one run, or of all models of a sweep.

import type { ConfigChoice, ReadConfig } from "../config.ts";
import type { Corpus } from "../text/corpus.ts";
import { chooseHeldOut } from "../text/hold_out.ts";
import { inOneBatch } from "./choose_batch.ts";
import { sweepTokenizer } from "./sweep_text.ts";
import { tokenize, type TokenizerOptions, type Tokens } from "./tokenize.ts";

export interface Settled {
  tokens: Tokens;
  /** In the order of those that were asked for; each step is one batch where that was open. */
  configs: ReadConfig[];
  /** What is to be known about it, a sentence each. */
  notes: string[];
}

/**
 * @param asked in one tokenizer and with one val_fraction, see checkComparable()
 * @throws ConfigError if they have several tokenizers; and what tokenize() throws
 */
export async function settleText(
  corpus: Corpus,
  asked: readonly ConfigChoice[],
  options?: TokenizerOptions,
): Promise<Settled> {
  const tokens = await tokenize(corpus, sweepTokenizer(asked), options);
  const { text, tokenizer, vocab_size, tokenizer_notes } = tokens;
  const { format } = corpus;
  // One part for all of them, which has room for the longest windows.
  const block_size = Math.max(...asked.map(({ block_size }) => block_size));
  const [{ val_fraction: part }] = asked;
  const held = chooseHeldOut({ format, block_size, val_fraction: part }, text.ids.length);
  const { val_fraction, note } = held;
  const configs = asked.map((config) =>
    inOneBatch({ ...config, tokenizer, vocab_size, format, val_fraction }),
  );
  return { tokens, configs, notes: [...(note === null ? [] : [note]), ...tokenizer_notes] };
}
