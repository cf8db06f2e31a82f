// What a user most likely meant by a word, flag or variable that there is none of.

import { nearest } from "../src/nearest.ts";
import { shellQuote } from "../src/shell_quote.ts";
import type { Env } from "./flags.ts";
import { type Given, UsageError } from "./given.ts";
import { type Option, variables } from "./options.ts";

/** With what the word may have been meant for; behind a flag's value a shell makes many of a pattern. */
export function strayWord(
  word: string,
  before: [string, Given] | undefined,
  options: readonly Option[],
): UsageError {
  const wrote = `"${word}" belongs to no flag`;
  const [flag, last] = before ?? [];
  if (last?.texts) {
    return new UsageError(
      `${wrote}; ${last.label} is given once for each ${flag}, and a pattern in quotes.`,
    );
  }
  const meant = options.find(({ bare }) => bare);
  const hint = meant && word ? `. Did you mean --${meant.flag} ${shellQuote(word)}?` : ";";
  return new UsageError(`${wrote}${hint} --help lists the flags.`);
}

export function unknownFlag(label: string, options: readonly Option[]): UsageError {
  // The variables hold other names of a setting: MICROGPT_LEARNING_RATE leads --learning-rate to --lr.
  const names = new Map(
    options.flatMap(({ flag, env, alike = [] }) =>
      [flag, ...env.map(toFlag), ...alike].map((name) => [name, flag] as const),
    ),
  );
  const match = nearest(label.replace(/^-+/, ""), [...names.keys()]);
  const hint = match === undefined ? "" : ` Did you mean --${names.get(match)}?`;
  return new UsageError(`There is no flag ${label}.${hint} --help lists the flags.`);
}

function toFlag(variable: string): string {
  return variable
    .replace(/^MICROGPT_/, "")
    .toLowerCase()
    .replaceAll("_", "-");
}

/** A line for each MICROGPT_ variable that no command reads: most likely misspelled. */
export function unknownVariables(env: Env): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith("MICROGPT_") && !variables.has(name))
    .map((name) => {
      // Without what all of them begin with, which is no sign that two are alike.
      const own = (variable: string) => variable.slice("MICROGPT_".length);
      const match = nearest(own(name), [...variables].map(own));
      const hint = match === undefined ? "" : ` Did you mean MICROGPT_${match}?`;
      return `warning: The environment variable ${name} is not known and has no effect.${hint}\n`;
    });
}
