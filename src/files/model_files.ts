// A model as the files of its folder, in bytes: model.safetensors, config.json, tokenizer.json.
//
// model.safetensors alone is a whole model: its metadata holds the text of the other two. A folder is
// therefore replaced by one atomic rename of one file, and a process that is killed between the
// renames of the three leaves the new model, not weights of one run beside the settings of another.
// The other two are for people and tools, and for weights that come from elsewhere without metadata.

import { type Config, resolveConfig, settings } from "../config.ts";
import { ConfigError, ModelFileError } from "../errors.ts";
import { type Dims, dimsOf, ParameterLayout } from "../model/parameters.ts";
import { type Tokenizer, tokenizerFromJSON } from "../text/tokenizer.ts";
import { decodeSafetensors, encodeSafetensors, type TensorView } from "./safetensors.ts";
import { isObject, parseStrictJson, show } from "./strict_json.ts";

/** A trained model. */
export interface Model {
  config: Config;
  tokenizer: Tokenizer;
  /** Optimizer steps that it has seen. */
  step: number;
  layout: ParameterLayout;
  /** Flat, in the order of `layout`. */
  values: Float32Array | Float64Array;
}

export interface ModelFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Raised when an older program could not read, or would misread, what is written. */
export const FORMAT_VERSION = 2;
/** Settings that files of version 1 do not have: their models were trained on documents, all of them, in f32. */
const SINCE_VERSION_2: readonly string[] = ["format", "val_fraction", "eval_every", "dtype"];

export const WEIGHTS_FILE = "model.safetensors";
export const CONFIG_FILE = "config.json";
export const TOKENIZER_FILE = "tokenizer.json";

/**
 * The files of a model, in the order in which they should be written: the first is enough by itself.
 * @throws ModelFileError if a weight is not finite as a float32; such a model is never saved
 */
export function encodeModel({ config, tokenizer, step, layout, values }: Model): ModelFile[] {
  const tensors = layout.slices.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    values: Float32Array.from(values.subarray(offset, offset + size)),
  }));
  for (const { name, values } of tensors) checkFinite(values, name, "The model");
  const { vocab_size } = tokenizer;
  const configText = toText({ format_version: FORMAT_VERSION, step, vocab_size, ...config });
  const tokenizerText = toText(tokenizer.toJSON());
  const metadata = { config: configText, tokenizer: tokenizerText };
  const utf8 = new TextEncoder();
  return [
    { name: WEIGHTS_FILE, bytes: encodeSafetensors(tensors, metadata) },
    { name: CONFIG_FILE, bytes: utf8.encode(configText) },
    { name: TOKENIZER_FILE, bytes: utf8.encode(tokenizerText) },
  ];
}

function toText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * The model that a folder's files hold.
 * @param read the bytes of a file of the folder, undefined if there is none of that name
 * @param where the folder, for the messages
 * @throws ModelFileError if a file is missing, damaged, of a newer version, or does not fit the others
 */
export function decodeModel(read: (name: string) => Uint8Array | undefined, where: string): Model {
  const path = (name: string) => `${where}/${name}`;
  const bytes = read(WEIGHTS_FILE);
  if (bytes === undefined) {
    throw new ModelFileError(
      `${where} holds no model: there is no ${WEIGHTS_FILE} in it. Train one into it, or name the folder of another.`,
    );
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path(WEIGHTS_FILE));

  const readPart = (key: string, file: string): [value: unknown, source: string] => {
    if (Object.hasOwn(metadata, key)) {
      const source = `the ${key} in ${path(WEIGHTS_FILE)}`;
      return [parseJson(metadata[key], source), source];
    }
    const part = read(file);
    if (part === undefined) {
      throw new ModelFileError(
        `${path(file)} is missing, and ${WEIGHTS_FILE} does not hold it either; restore it, or train again.`,
      );
    }
    return [parseJson(new TextDecoder().decode(part), path(file)), path(file)];
  };
  const { config, step, vocab_size } = readConfig(...readPart("config", CONFIG_FILE));
  const tokenizer = readTokenizer(...readPart("tokenizer", TOKENIZER_FILE));
  if (tokenizer.vocab_size !== vocab_size) {
    throw new ModelFileError(
      `The files in ${where} do not belong together: the settings name a vocabulary of ${vocab_size} tokens, ` +
        `and the tokenizer has ${tokenizer.vocab_size}. Restore the files of one run, or train again.`,
    );
  }
  const { layout, values } = readWeights(tensors, dimsOf(config, vocab_size), path(WEIGHTS_FILE));
  return { config, tokenizer, step, layout, values };
}

function parseJson(text: string, source: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    fail(source, `is not usable JSON (${(error as Error).message})`);
  }
}

function readConfig(file: unknown, source: string) {
  if (!isObject(file)) fail(source, "is not an object");
  const { format_version, step, vocab_size, ...config } = file;
  if (Number.isSafeInteger(format_version) && (format_version as number) > FORMAT_VERSION) {
    throw new ModelFileError(
      `${source} has format version ${format_version}, and this program reads up to ${FORMAT_VERSION}; ` +
        `use a newer version of this program.`,
    );
  }
  if (format_version !== 1 && format_version !== FORMAT_VERSION) {
    fail(source, `has the format version ${show(format_version)}, not ${FORMAT_VERSION}`);
  }
  for (const [key, value] of Object.entries({ step, vocab_size })) {
    if (!Number.isSafeInteger(value) || (value as number) < 0) {
      fail(source, `has ${show(value)} as its ${key}, not a whole number of at least 0`);
    }
  }
  const known: Set<string> = new Set(settings.map(({ name }) => name));
  const missing = [...known].find(
    (name) =>
      !Object.hasOwn(config, name) && !(format_version === 1 && SINCE_VERSION_2.includes(name)),
  );
  if (missing !== undefined) fail(source, `lacks the setting ${missing}`);
  const unknown = Object.keys(config).find((name) => !known.has(name));
  if (unknown !== undefined) fail(source, `has the unknown setting ${show(unknown)}`);
  if (config.dtype === "auto") fail(source, `has the dtype "auto", which no model is trained with`);
  try {
    return {
      config: resolveConfig("microgpt", config as Partial<Config>),
      step: step as number,
      vocab_size: vocab_size as number,
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    fail(source, `has a setting that cannot be: ${error.message.replace(/\.$/, "")}`);
  }
}

function readTokenizer(file: unknown, source: string): Tokenizer {
  try {
    return tokenizerFromJSON(file);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    throw new ModelFileError(`${source}: ${error.message}`);
  }
}

/** The tensors as one flat array, once it is sure that they are the ones of the table. */
function readWeights(tensors: readonly TensorView[], dims: Dims, source: string) {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  // With the smaller L a damaged n_layer makes no table longer than memory, and the counts differ still.
  const layout = new ParameterLayout({ ...dims, L: Math.min(dims.L, tensors.length) });
  if (layout.slices.length !== tensors.length) {
    fail(source, `has ${tensors.length} tensors, which no model of n_layer ${dims.L} has`);
  }
  for (const { name, shape } of layout.slices) {
    const tensor = byName.get(name);
    if (tensor === undefined) fail(source, `lacks the tensor ${name}`);
    if (tensor.shape.join() !== shape.join()) {
      fail(source, `has ${name} of shape (${tensor.shape.join(", ")}), not (${shape.join(", ")})`);
    }
  }
  // Float by float would ask for data at a multiple of 4 bytes, which a file need not have.
  const values = new Float32Array(layout.size);
  const bytes = new Uint8Array(values.buffer);
  for (const { name, offset, size } of layout.slices) {
    bytes.set(byName.get(name)!.data, offset * values.BYTES_PER_ELEMENT);
    checkFinite(values.subarray(offset, offset + size), name, source);
  }
  return { layout, values };
}

function checkFinite(values: Float32Array, name: string, source: string): void {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return;
  throw new ModelFileError(
    `${source} has ${values[index]} in ${name} (element ${index}); weights must be finite. ` +
      `Train again, with a lower learning rate or a grad_clip if it was lost in training.`,
  );
}

function fail(source: string, what: string): never {
  throw new ModelFileError(
    `${source} ${what}. The model is damaged or was not written by this program; restore a copy, or train again.`,
  );
}
