// What the models of a sweep have in common: one text, read in one way, in the tokens of one tokenizer.

import type { ConfigChoice } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { Reading } from "../text/formats/reader.ts";

/** @throws ConfigError if they differ: there is one text, and it is read in one way */
export function sweepReading(
  configs: readonly ConfigChoice[],
): Pick<ConfigChoice, "format"> & Reading {
  checkOne(configs, ["format", "field", "separator", "skip_bad_lines"], "read the text in one way");
  return configs[0];
}

/** Which tokenizer the models have; how wide they are says the widest. @throws ConfigError if it is not one */
export function sweepTokenizer(configs: readonly ConfigChoice[]) {
  checkOne(configs, ["tokenizer", "vocab_size", "bpe_pattern"], "have one tokenizer");
  return { ...configs[0], n_embd: Math.max(...configs.map(({ n_embd }) => n_embd)) };
}

/** @throws ConfigError if what is used of conversations is not the same for all of them */
export function checkConversations(configs: readonly ConfigChoice[]): void {
  checkOne(configs, ["block_size", "loss_on", "skip_long"], "learn the same conversations");
}

/** @param what they do, which takes one value of each setting */
function checkOne(
  configs: readonly ConfigChoice[],
  names: readonly (keyof ConfigChoice)[],
  what: string,
): void {
  const [first] = configs;
  for (const name of names) {
    const other = configs.find((config) => config[name] !== first[name]);
    if (other === undefined) continue;
    throw new ConfigError(
      name,
      `The models of a sweep ${what}, and these have a ${name} of ${first[name]} and ${other[name]}; choose one of them.`,
    );
  }
}
