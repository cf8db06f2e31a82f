// What every way of importing has in common: a model from what others say of it, and what is to be known about that.

import { isLearned } from "../choices.ts";
import { type Config, resolveConfig } from "../config.ts";
import { count, plural } from "../count.ts";
import { ConfigError, ModelFileError } from "../errors.ts";
import { type Model, readConfig } from "../files/model_files.ts";
import { mergedConfig } from "../model/adapters.ts";
import { presets } from "../presets.ts";
import { isOfChat } from "../text/chat.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type LlamaShape, llamaShape, settingsOf } from "./architecture.ts";

export interface Imported {
  model: Model;
  /** What was chosen where the files left it open, a sentence each. */
  notes: string[];
}

/** Told how many tensors are read, of how many. */
export type ReadProgress = (done: number, total: number) => void;

/** Settings of ours that come along with a model, and its steps. */
export type Own = Pick<Model, "config" | "step">;

/**
 * Our settings in a file of others, of a whole model: adapters are merged in what is exported.
 * @throws ModelFileError naming the source if they cannot be used
 */
export function readOwn(settings: unknown, source: string): ReturnType<typeof readConfig> {
  const own = readConfig(settings, source);
  return { ...own, config: mergedConfig(own.config) };
}

/** Runs of whose kind it goes on to be trained, where no settings came along. */
const usual = { llama: presets["llama-15m"], qwen3: presets["qwen3-15m"] };

/**
 * The settings of a model of Llama's or Qwen3's shape; of its own, where they came along, all that are not its shape.
 * @param source what says so, for the messages
 * @throws ModelFileError if a size is none that a model here can have
 */
export function configOf(
  shape: LlamaShape,
  tokenizer: Tokenizer,
  own: Own | undefined,
  source: string,
): Own {
  const isOwn = own !== undefined && sameShape(llamaShape(own.config), shape);
  const base = own?.config ?? { ...usual[shape.architecture], format: formatFor(tokenizer) };
  const config = { ...base, ...(isOwn ? {} : settingsOf(shape)) };
  return {
    config: resolved({ ...config, ...tokenizerSettings(config, tokenizer) }, source),
    step: own?.step ?? 0,
  };
}

function sameShape(a: LlamaShape | string, b: LlamaShape): boolean {
  const names = Object.keys(b) as (keyof LlamaShape)[];
  return typeof a === "object" && names.every((name) => a[name] === b[name]);
}

/** What its documents are, which nobody says: conversations, where it has their tokens, or lines. */
function formatFor(tokenizer: Tokenizer): Config["format"] {
  return isOfChat(tokenizer) ? "chat" : "lines";
}

/** A tokenizer of the kind that the settings name stays that; any other is one that was given. */
export function tokenizerSettings(
  config: Config,
  { kind, vocab_size }: Tokenizer,
): Partial<Config> {
  if (config.tokenizer !== kind) return { tokenizer: "file", vocab_size: 0 };
  return { vocab_size: isLearned(config.tokenizer) ? vocab_size : 0 };
}

/** @throws ModelFileError if one of the settings cannot be */
export function resolved(config: Partial<Config>, source: string): Config {
  try {
    return resolveConfig("microgpt", config);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ModelFileError(`${source} is of a model that cannot be had here: ${error.message}`);
  }
}

/** Rows beyond the tokenizer's tokens, at most: those that a vocabulary is padded with. */
const MOST_UNUSED = 2 ** 16;

/**
 * The tokenizer with as many tokens as the model has rows for: each row without one gets a special token.
 * @param source what says how many there are, for the messages
 * @throws ModelFileError if they do not belong together
 */
export function fitTokenizer(tokenizer: Tokenizer, vocab_size: number, source: string) {
  const unused = vocab_size - tokenizer.vocab_size;
  if (unused === 0) return { tokenizer, notes: [] };
  if (unused < 0 || unused > MOST_UNUSED) {
    throw new ModelFileError(
      `${source} is of a model of ${plural(vocab_size, "token")}, and its tokenizer has ` +
        `${count(tokenizer.vocab_size)}: they do not belong together. Get all files of one model.`,
    );
  }
  const names = Array.from({ length: unused }, (_, i) => `<|unused_${tokenizer.vocab_size + i}|>`);
  const note =
    `The model has ${plural(unused, "row")} more than its tokenizer has tokens: they are special tokens from here on, ` +
    `${names[0]} the first.`;
  return { tokenizer: tokenizer.withSpecial(names), notes: [note] };
}

/** Its documents begin as those of the models do that have such a name among their tokens. */
export function aboutBos({ special, bos }: Tokenizer, named: number | null): string[] {
  if (named === null || named === bos) return [];
  const [name] = [...special].find(([, id]) => id === bos)!;
  return [
    `Its texts begin with ${name}, the token ${bos}, though its files name the token ${named}.`,
  ];
}
