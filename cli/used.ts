// What is written on the command line has to have an effect: where a setting can have none, it is refused.

import { isGiven } from "../src/choices.ts";
import type { ConfigChoice, Labels } from "../src/config.ts";
import { ConfigError } from "../src/errors.ts";

/**
 * @param settings those that were given, or all of them
 * @param labels how the user wrote them; flags begin with a dash. Those of files and of the environment may be for other
 *   runs too
 * @throws ConfigError if a flag would be of no use
 */
export function checkUsed(settings: Partial<ConfigChoice>, labels: Labels): void {
  for (const name of ["field", "separator"] as const) {
    const label = flagOf(labels, name);
    if (label === undefined || settings[name] !== "") continue;
    throw new ConfigError(name, `${label} is empty; give it a value, or leave it out.`);
  }
  for (const name of ["lora_alpha", "lora_targets"] as const) {
    const label = flagOf(labels, name);
    if (label === undefined || settings.lora_rank !== 0) continue;
    throw new ConfigError(
      name,
      `${label} is about adapters, and without --lora-rank there are none; give their rank, such as --lora-rank 8, or ` +
        `leave it out.`,
    );
  }
  const { tokenizer = "auto", bpe_pattern } = settings;
  const label = flagOf(labels, "bpe_pattern");
  if (label === undefined || tokenizer === "auto" || tokenizer === "bpe") return;
  const what = isGiven(tokenizer) ? "the file has its own" : "there is none";
  const wrote = labels.tokenizer ?? "--tokenizer";
  throw new ConfigError(
    "bpe_pattern",
    `${label} is ${bpe_pattern}, but with ${wrote} ${tokenizer} ${what}; leave it out, or choose ${wrote} bpe.`,
  );
}

function flagOf(labels: Labels, name: keyof ConfigChoice): string | undefined {
  const label = labels[name];
  return label?.startsWith("-") ? label : undefined;
}
