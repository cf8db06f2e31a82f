// A file of settings, `--config`: JSON with the names of src/config/settings.ts, and `preset`.

import { readFileSync } from "node:fs";
import { isLearned } from "../src/choices.ts";
import { type Config, checkSettingNames } from "../src/config.ts";
import type { Setting } from "../src/config/setting.ts";
import { settings } from "../src/config/settings.ts";
import { checkSetting } from "../src/config/values.ts";
import { count } from "../src/count.ts";
import { UserError } from "../src/errors.ts";
import { reason } from "../src/files/reason.node.ts";
import { isObject, parseStrictJson, show } from "../src/strict_json.ts";
import { type Given, UsageError } from "./given.ts";
import { type Option, preset } from "./options.ts";

/** What a saved model's config.json says of the model beside the settings; of a run to come it says nothing. */
const OF_MODELS = ["format_version", "step"];

/** Bytes of such a file at most: some hundred times what all settings take. */
const MOST_BYTES = 2 ** 18;

/**
 * What a file sets, by flag, as if it had been written on the command line.
 * @param options of the command that is to know all of it
 * @throws UsageError or ConfigError if the file cannot be read, or has what is no setting or no value of one
 */
export function fromConfigFile(path: string, options: readonly Option[]): [string, Given][] {
  const file = readObject(path);
  const isModel = Object.hasOwn(file, "format_version");
  const entries = Object.entries(file).filter(([name]) => !isModel || !isOfModels(name, file));
  try {
    checkSettingNames("setting", Object.fromEntries(entries), [preset.flag]);
  } catch (error) {
    throw error instanceof UserError ? new UsageError(`${path}: ${error.message}`) : error;
  }
  const known = new Set(options.map(({ flag }) => flag));
  return entries.flatMap(([name, value]): [string, Given][] => {
    const label = `${name} (${path})`;
    if (name === preset.flag) return [[name, { text: presetIn(value, label), label }]];
    const setting = settings.find((setting) => setting.name === name)!;
    if (setting.file === undefined || typeof value !== "string")
      checkSetting(setting, value, label);
    // A saved model's settings are all of them, and those that a command has no use for do it no harm.
    if (!known.has(setting.flag) && !isModel) throw useless(setting, label);
    return [[setting.flag, { text: String(value), label }]];
  });
}

/** A vocabulary is asked for only where it is learnt. */
function isOfModels(name: string, { tokenizer }: Record<string, unknown>): boolean {
  if (name !== "vocab_size") return OF_MODELS.includes(name);
  return !isLearned(tokenizer as Config["tokenizer"]);
}

function readObject(path: string): Record<string, unknown> {
  const needed = '--config takes a JSON file of settings, such as { "n_layer": 4 }.';
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UsageError(`The settings ${path} cannot be read: ${reason(error)}. ${needed}`);
  }
  if (bytes.length > MOST_BYTES) {
    throw new UsageError(
      `The settings ${path} have ${count(bytes.length)} bytes, which no settings need. ${needed}`,
    );
  }
  let value: unknown;
  try {
    value = parseStrictJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const what = error instanceof SyntaxError ? error.message : "it is no UTF-8 text";
    throw new UsageError(`The settings ${path} are not usable JSON (${what}). ${needed}`);
  }
  if (isObject(value)) return value;
  throw new UsageError(`The settings ${path} are ${show(value)} and no object. ${needed}`);
}

function presetIn(value: unknown, label: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new UsageError(`${label} is ${show(value)}; it must be the name of a preset.`);
}

function useless({ name }: Setting, label: string): UsageError {
  return new UsageError(`${label} has no meaning for this command; leave ${name} out.`);
}
