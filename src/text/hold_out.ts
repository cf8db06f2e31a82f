// Which part of a text `auto` holds out to validate with: a tenth of a stream, and of documents none.

import { isStream } from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import { count, plural } from "../count.ts";
import { heldOut } from "./split.ts";

/** Of a stream. */
const USUAL = 0.1;

/**
 * @param length of the stream, in tokens
 * @returns the part, and what is to be known about it, as a sentence; null where there is nothing
 */
export function chooseHeldOut(
  {
    format,
    block_size,
    val_fraction,
  }: Pick<Config, "format" | "block_size"> & Pick<ConfigChoice, "val_fraction">,
  length: number,
): { val_fraction: number; note: string | null } {
  if (val_fraction !== "auto") return { val_fraction, note: null };
  if (!isStream(format)) return { val_fraction: 0, note: null };
  const held = heldOut({ val_fraction: USUAL }, length);
  const needed = block_size + 1;
  if (held >= needed && length - held >= needed) return { val_fraction: USUAL, note: null };
  const note =
    `Nothing is held out to validate with: a tenth of the text's ${plural(length, "token")} is ${count(held)}, and a ` +
    `window takes ${count(needed)}; a longer text or a smaller block_size has room for it.`;
  return { val_fraction: 0, note };
}
