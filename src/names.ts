// Options by name: one that nobody knows is refused, or it would have no effect without a word.

import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/**
 * @param what they are, for the message: `option`
 * @param known the names that may be given
 * @param others what people also call them, with the name meant
 * @throws ConfigError naming the first that is not known, and the one that was most likely meant
 */
export function checkNames(
  what: string,
  given: object,
  known: readonly string[],
  others: Readonly<Record<string, string>> = {},
): void {
  const name = Object.keys(given).find((name) => !known.includes(name));
  if (name === undefined) return;
  const match = nearest(name, [...known, ...Object.keys(others)]);
  const advice =
    match === undefined
      ? `Known are ${known.join(", ")}.`
      : `Did you mean ${others[match] ?? match}?`;
  throw new ConfigError(name, `There is no ${what} "${name}". ${advice}`);
}
