// How a command draws tokens: flags of the commands that write with a saved model.

import type { AnsweringOptions } from "../src/generation/from_model.ts";
import { type Sampling, samplingNames, samplingOf } from "../src/generation/generate.ts";
import type { Flags } from "./flags.ts";
import { settingOptions, stop } from "./options.ts";

const names = [...samplingNames, "seed"] as const;

/** Flags for all of it, but for some settings. */
export function samplingOptions(without: readonly string[] = []) {
  return [stop, ...settingOptions(...names.filter((name) => !without.includes(name)))];
}

/** What they say; what they do not say is as in the preset microgpt. */
export function samplingIn(flags: Flags): Sampling & Pick<AnsweringOptions, "seed" | "stop"> {
  const config = flags.config("microgpt");
  const strings = flags.all(stop).map((text) => text.replaceAll("\\n", "\n"));
  return { ...samplingOf(config), seed: config.seed, stop: strings };
}
