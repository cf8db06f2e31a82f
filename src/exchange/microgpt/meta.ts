// What meta.json of microgpt's children says of a model beside its weights: sizes, characters, special tokens; and all
// our settings, which others leave alone.

import { isRelu } from "../../choices.ts";
import type { Config } from "../../config.ts";
import { ModelFileError, UserError } from "../../errors.ts";
import { metadataOf, type Model } from "../../files/model_files.ts";
import { microgptNames } from "../../model/engines.ts";
import { dimsOf } from "../../model/parameters.ts";
import { presets } from "../../presets.ts";
import { CHARACTERS_BOS } from "../../tokenizer/bos.ts";
import { CharTokenizer } from "../../tokenizer/char.ts";
import { isOfChat } from "../../text/chat.ts";
import { show } from "../../strict_json.ts";
import type { Json } from "../folder.ts";
import { readOwn, resolved } from "../imported.ts";

export interface Meta {
  vocab_size: number;
  n_embd: number;
  n_head: number;
  n_layer: number;
  block_size: number;
  /** Ids 0..n-1 in order. */
  chars: string[];
  special_tokens: Record<string, number>;
  /** Our config.json. */
  microgpt: unknown;
}

/** Why a model is none of microgpt's shape, as the end of a sentence; undefined where it is one. */
function misfitOf(config: Config): string | undefined {
  if (!isRelu(config.activation))
    return `activation is ${config.activation}, and microgpt has relu`;
  for (const name of [...microgptNames, "rmsnorm_eps"] as const) {
    const [own, value] = [config[name], presets.microgpt[name]];
    if (own !== value) return `${name} is ${own}, and microgpt has ${value}`;
  }
  const { NH, NKV, HS, C, H } = dimsOf(config, 1);
  if (NKV !== NH) return `n_kv_head is ${NKV} and n_head ${NH}, and microgpt has as many`;
  if (HS * NH !== C) return `head_dim is ${HS}, and microgpt has n_embd / n_head`;
  return H === 4 * C ? undefined : `mlp_hidden is ${H}, and microgpt has 4 n_embd`;
}

/** @throws UserError if the model is none of microgpt's shape and characters; @param format what has no place for it */
export function metaOf(model: Model, format: string): Meta {
  const { config, tokenizer } = model;
  const misfit = misfitOf(config);
  const advice = `Export it as huggingface, which has a place for every model.`;
  if (misfit !== undefined)
    throw new UserError(`The format ${format} has no place for the model: ${misfit}. ${advice}`);
  if (!(tokenizer instanceof CharTokenizer)) {
    throw new UserError(
      `The format ${format} has no place for the model's tokenizer ${tokenizer.kind}, only for one of characters. ${advice}`,
    );
  }
  const { n_embd, n_head, n_layer, block_size } = config;
  const sizes = { vocab_size: tokenizer.vocab_size, n_embd, n_head, n_layer, block_size };
  const { chars, special_tokens } = tokenizer.toJSON();
  return { ...sizes, chars, special_tokens, microgpt: JSON.parse(metadataOf(model).config) };
}

/** The names under which a file may have the characters; microgpt.py's own is the second. */
const charNames = ["chars", "uchars"] as const;

/**
 * @param meta as metaOf() gives it, or others do, who have no `microgpt` and may have `uchars`
 * @param source its file, for the messages
 * @throws ModelFileError if it cannot be used
 */
export function readMeta(meta: Json, source: string) {
  const tokenizer = tokenizerOf(meta, source);
  const own =
    meta[OWN] === undefined
      ? { config: configOf(meta, tokenizer, source), step: 0, vocab_size: tokenizer.vocab_size }
      : readOwn(meta[OWN], `the ${OWN} in ${source}`);
  const { config, vocab_size } = own;
  const misfit = misfitOf(config);
  if (misfit !== undefined) throw bad(source, `is of no model of microgpt's shape: ${misfit}`);
  for (const [name, value] of Object.entries({ ...config, vocab_size })) {
    if (!sizes.includes(name as Size) || (meta[name] ?? value) === value) continue;
    throw bad(source, `has the ${name} ${show(meta[name])}, and its settings have ${value}`);
  }
  if (tokenizer.vocab_size !== vocab_size) {
    throw bad(
      source,
      `has a vocab_size of ${vocab_size}, and ${tokenizer.vocab_size} characters and special tokens`,
    );
  }
  return { tokenizer, config: resolved({ ...config, tokenizer: "char" }, source), step: own.step };
}

const OWN = "microgpt" satisfies keyof Meta;

const sizes = ["vocab_size", "n_embd", "n_head", "n_layer", "block_size"] as const;
type Size = (typeof sizes)[number];

function configOf(meta: Json, tokenizer: CharTokenizer, source: string): Config {
  const given = Object.fromEntries(
    sizes.filter((name) => name !== "vocab_size").map((name) => [name, meta[name]]),
  );
  const missing = Object.keys(given).find((name) => given[name] === undefined);
  if (missing !== undefined) throw bad(source, `has no ${missing}`);
  const format = isOfChat(tokenizer) ? "chat" : "lines";
  return resolved({ ...given, format, tokenizer: "char" }, source);
}

function tokenizerOf(meta: Json, source: string): CharTokenizer {
  const name = charNames.find((name) => meta[name] !== undefined);
  const value = name && meta[name];
  const chars: unknown = typeof value === "string" ? [...value] : value;
  const count = Array.isArray(chars) ? chars.length : 0;
  const given = meta.special_tokens ?? {};
  const named = Array.isArray(given)
    ? Object.fromEntries(given.map((name, i) => [String(name), count + i]))
    : (given as Record<string, number>);
  // The token that begins and ends documents is the first behind the characters, whatever it is called.
  const others = Object.entries(named).filter(([, id]) => id !== count);
  const special_tokens = { [CHARACTERS_BOS]: count, ...Object.fromEntries(others) };
  try {
    return CharTokenizer.fromJSON({ type: "char", chars, special_tokens });
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    throw bad(
      source,
      `has no characters and special tokens that can be used: "chars" needs to be distinct single characters, and ` +
        `"special_tokens" ids that follow theirs`,
    );
  }
}

/** @param what the rest of the sentence, without the full stop */
export function bad(source: string, what: string): ModelFileError {
  return new ModelFileError(`${source} ${what}. Nothing is imported; get the files again.`);
}
