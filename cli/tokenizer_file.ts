// A tokenizer that is in a file: a tokenizer.json, or a folder that has one, as a model's has.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isGiven } from "../src/choices.ts";
import { offered } from "../src/config/setting.ts";
import { settings } from "../src/config/settings.ts";
import { parseSetting } from "../src/config/values.ts";
import type { Config } from "../src/config.ts";
import { ModelFileError } from "../src/errors.ts";
import { loadModel } from "../src/files/model_dir.node.ts";
import { readTokenizer, TOKENIZER_FILE, WEIGHTS_FILE } from "../src/files/model_files.ts";
import { reason } from "../src/files/reason.node.ts";
import { nearest } from "../src/nearest.ts";
import { parseStrictJson } from "../src/strict_json.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";

const setting = settings.find(({ name }) => name === "tokenizer")!;

/** The tokenizer that the user named by a path; undefined where it is one of those that are known by name. */
export function tokenizerOf(flags: Flags): Tokenizer | undefined {
  const { text, label } = flags.raw(setting) ?? {};
  if (text === undefined) return undefined;
  const choice = parseSetting(setting, text, label!) as Config["tokenizer"];
  return isGiven(choice) ? loadTokenizer(text, label!) : undefined;
}

/**
 * @param path of the file or the folder
 * @param label how the user wrote the option, for the messages
 * @throws UsageError if there is no such file
 * @throws ModelFileError if it is no tokenizer
 */
function loadTokenizer(path: string, label: string): Tokenizer {
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const isModel = folder && statSync(join(path, WEIGHTS_FILE), { throwIfNoEntry: false });
  if (isModel) return loadModel(path).tokenizer;
  const file = folder ? join(path, TOKENIZER_FILE) : path;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const near = statSync(file, { throwIfNoEntry: false }) ? undefined : nearest(path, choices);
    const meant = near === undefined ? "" : ` Did you mean ${near}?`;
    throw new UsageError(
      `The tokenizer ${file} cannot be read: ${reason(error)}. ${needed(label)}${meant}`,
    );
  }
  return readTokenizer(jsonOf(text, file, label), file);
}

const choices = offered(setting);

/** What the option takes, as a sentence. */
function needed(label: string): string {
  return `${label} takes ${choices.join(", ")}, a tokenizer.json or the folder of a model.`;
}

/** @throws ModelFileError if it is none */
function jsonOf(text: string, file: string, label: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    const why =
      text.trim() === "" ? "it is empty" : `it is not usable JSON (${(error as Error).message})`;
    throw new ModelFileError(`${file} is no tokenizer: ${why}. ${needed(label)}`);
  }
}
