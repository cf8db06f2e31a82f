// A tokenizer that is in a file: a tokenizer.json, or a folder that has one, as a model's has.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isGiven } from "../src/choices.ts";
import { offered } from "../src/config/setting.ts";
import { settings } from "../src/config/settings.ts";
import { parseSetting } from "../src/config/values.ts";
import type { Config } from "../src/config.ts";
import { loadModel } from "../src/files/model_dir.node.ts";
import {
  parseJson,
  readTokenizer,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from "../src/files/model_files.ts";
import { reason } from "../src/files/reason.node.ts";
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
    throw new UsageError(
      `The tokenizer ${file} cannot be read: ${reason(error)}. ${label} takes ` +
        `${offered(setting).join(", ")}, a tokenizer.json or the folder of a model.`,
    );
  }
  return readTokenizer(parseJson(text, file), file);
}
