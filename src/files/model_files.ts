// A model as the files of its folder, in bytes: model.safetensors, config.json, tokenizer.json.
//
// model.safetensors alone is a whole model: its metadata holds the text of the other two. A folder is
// therefore replaced by one atomic rename of one file, and a process that is killed between the
// renames of the three leaves the new model, not weights of one run beside the settings of another.
// The other two are for people and tools, and for weights that come from elsewhere without metadata.

import { isChat, isLearned } from "../choices.ts";
import { type Config, resolveConfig } from "../config.ts";
import { leftOpen, settings } from "../config/settings.ts";
import { plural } from "../count.ts";
import { ConfigError, ModelFileError } from "../errors.ts";
import { chatTemplate } from "../text/chat.ts";
import { type Dims, dimsOf, ParameterLayout } from "../model/parameters.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { tokenizerFromJSON } from "../tokenizer/file.ts";
import { arrays, floatRange, type OwnDtype } from "./floats.ts";
import { decodeSafetensors, joined, safetensorsPieces, type TensorView } from "./safetensors.ts";
import { isObject, parseStrictJson, show } from "../strict_json.ts";

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

/** A file to write. */
export class ModelFile {
  readonly name: string;
  /** Its bytes, a piece at a time: a file is never in memory as a whole. */
  readonly pieces: Iterable<Uint8Array<ArrayBuffer>>;

  constructor(name: string, pieces: Iterable<Uint8Array<ArrayBuffer>>) {
    this.name = name;
    this.pieces = pieces;
  }

  static ofText(name: string, text: string): ModelFile {
    return new ModelFile(name, [new TextEncoder().encode(text)]);
  }

  /** All of them, made anew at each call. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return joined(this.pieces);
  }
}

/** Raised when an older program could not read, or would misread, what is written. */
export const FORMAT_VERSION = 9;

export const WEIGHTS_FILE = "model.safetensors";
/** The model of the validation with the lowest loss so far, beside the last one; whole by itself too. */
export const BEST_FILE = "best.safetensors";
export const CONFIG_FILE = "config.json";
export const TOKENIZER_FILE = "tokenizer.json";
/** Of a model of conversations: how other programs write them. */
export const CHAT_TEMPLATE_FILE = "chat_template.jinja";

/**
 * The files of a model, in the order in which they should be written: the first is enough by itself.
 * @param more what the first tells besides
 * @throws ModelFileError if a weight is not finite as a float32; such a model is never saved
 */
export function encodeModel(model: Model, more: Record<string, string> = {}): ModelFile[] {
  const { layout, values } = model;
  const tensors = layout.slices.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    values: values.subarray(offset, offset + size),
  }));
  for (const { name, values } of tensors) checkFinite(values, name, "The model", floatRange);
  const metadata = metadataOf(model);
  return [
    new ModelFile(WEIGHTS_FILE, safetensorsPieces(tensors, { ...metadata, ...more })),
    ModelFile.ofText(CONFIG_FILE, metadata.config),
    ModelFile.ofText(TOKENIZER_FILE, metadata.tokenizer),
    ...(metadata.chat_template === undefined
      ? []
      : [ModelFile.ofText(CHAT_TEMPLATE_FILE, metadata.chat_template)]),
  ];
}

interface Metadata extends Record<string, string> {
  config: string;
  tokenizer: string;
}

/** The texts of settings and tokenizer, and of a chat's template. */
export function metadataOf({
  config,
  tokenizer,
  step,
}: Omit<Model, "layout" | "values">): Metadata {
  const { vocab_size } = tokenizer;
  return {
    config: toText({ format_version: FORMAT_VERSION, step, ...config, vocab_size }),
    tokenizer: toText(tokenizer.toJSON()),
    ...(isChat(config.format) ? { chat_template: chatTemplate(tokenizer) } : {}),
  };
}

export function toText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * The model that a folder's files hold.
 * @param read the bytes of a file of the folder, undefined if there is none of that name
 * @param where the folder, for the messages
 * @param path of a file in it, for the messages
 * @throws ModelFileError if a file is missing, damaged, of a newer version, or does not fit the others
 */
export function decodeModel(
  read: (name: string) => Uint8Array | undefined,
  where: string,
  path = (name: string) => `${where}/${name}`,
): Model {
  const bytes = read(WEIGHTS_FILE);
  if (bytes === undefined) {
    throw new ModelFileError(
      `${where} holds no model: there is no ${WEIGHTS_FILE} in it. Train one into it, or name the folder of another.`,
    );
  }
  refuseForeign(read(CONFIG_FILE), where);
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
      `The files in ${where} do not belong together: the settings name a vocabulary of ${plural(vocab_size, "token")}, ` +
        `and the tokenizer has ${tokenizer.vocab_size}. Restore the files of one run, or train again.`,
    );
  }
  const dims = dimsOf(config, vocab_size);
  const { layout, flat } = readTensors(tensors, dims, path(WEIGHTS_FILE), (dims) => [
    { prefix: "", layout: new ParameterLayout(dims) },
  ]);
  return { config, tokenizer, step, layout, values: flat[0] };
}

/** @throws ModelFileError if a config.json is of a Hugging Face folder */
function refuseForeign(config: Uint8Array | undefined, where: string): void {
  const text = new TextDecoder().decode(config);
  if (!text.includes(`"model_type"`) || text.startsWith(`{\n  "format_version"`)) return;
  throw new ModelFileError(
    `${where} holds a model in Hugging Face's layout. Make one of this program of it first: import ${where} --output ` +
      `ANOTHER.`,
  );
}

/**
 * The model that one file holds by itself, whatever its name.
 * @param file its name, for the messages
 * @throws ModelFileError as decodeModel(), and if it is a run to resume
 */
export function decodeModelFile(bytes: Uint8Array, file: string): Model {
  const { metadata } = decodeSafetensors(bytes, file, ["F32", "F64"]);
  if (Object.hasOwn(metadata, "training")) {
    throw new ModelFileError(
      `${file} holds a run to resume, not a model; open the ${WEIGHTS_FILE} that lies beside it.`,
    );
  }
  const isFile = (name: string) => name === WEIGHTS_FILE;
  return decodeModel(
    (name) => (isFile(name) ? bytes : undefined),
    file,
    (name) => (isFile(name) ? file : name),
  );
}

export function parseJson(text: string, source: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    fail(source, `is not usable JSON (${(error as Error).message})`);
  }
}

export function readConfig(file: unknown, source: string) {
  if (!isObject(file)) fail(source, "is not an object");
  const { format_version, step, ...config } = file;
  const { vocab_size, tokenizer } = config;
  if (Number.isSafeInteger(format_version) && (format_version as number) > FORMAT_VERSION) {
    throw new ModelFileError(
      `${source} has format version ${format_version}, and this program reads up to ${FORMAT_VERSION}; ` +
        `use a newer version of this program.`,
    );
  }
  const versions = Array.from({ length: FORMAT_VERSION }, (_, i) => i + 1);
  const version = versions.find((known) => known === format_version);
  if (version === undefined) {
    fail(source, `has the format version ${show(format_version)}, not ${FORMAT_VERSION}`);
  }
  for (const [key, value] of Object.entries({ step, vocab_size })) {
    if (!Number.isSafeInteger(value) || (value as number) < 0) {
      fail(source, `has ${show(value)} as its ${key}, not a whole number of at least 0`);
    }
  }
  const known: Set<string> = new Set(settings.map(({ name }) => name));
  const missing = settings.find(
    ({ name, since = 1 }) => !Object.hasOwn(config, name) && since <= version,
  );
  // Of a vocabulary that is not learnt the size is no choice.
  if (!isLearned(tokenizer as Config["tokenizer"])) config.vocab_size = 0;
  if (missing !== undefined) fail(source, `lacks the setting ${missing.name}`);
  const unknown = Object.keys(config).find((name) => !known.has(name));
  if (unknown !== undefined) fail(source, `has the unknown setting ${show(unknown)}`);
  for (const name of leftOpen) {
    if (config[name] === "auto")
      fail(source, `has the ${name} "auto", which no model is trained with`);
  }
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

export function readTokenizer(file: unknown, source: string): Tokenizer {
  try {
    return tokenizerFromJSON(file);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    throw new ModelFileError(`${source}: ${error.message}`);
  }
}

/**
 * The tensors as flat arrays, one of each prefix of their names, once it is sure that they are those of the layouts, all
 * of one type, and finite.
 * @param parts the layouts of a model's sizes, the first one that of its parameters
 */
export function readTensors(
  tensors: readonly TensorView<OwnDtype>[],
  dims: Dims,
  source: string,
  parts: (dims: Dims) => readonly { prefix: string; layout: ParameterLayout }[],
) {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  // With the smaller L a damaged n_layer makes no table longer than memory, and the counts differ still.
  const layouts = parts({ ...dims, L: Math.min(dims.L, tensors.length) });
  const count = layouts.reduce((sum, { layout }) => sum + layout.slices.length, 0);
  if (count !== tensors.length) {
    fail(
      source,
      `has ${plural(tensors.length, "tensor")}, which no model of n_layer ${dims.L} has`,
    );
  }
  const [{ dtype }] = tensors;
  for (const { prefix, layout } of layouts) {
    for (const slice of layout.slices) {
      const name = prefix + slice.name;
      const tensor = byName.get(name);
      if (tensor === undefined) fail(source, `lacks the tensor ${name}`);
      const [got, needed] = [tensor.shape.join(", "), slice.shape.join(", ")];
      if (got !== needed) fail(source, `has ${name} of shape (${got}), not (${needed})`);
      if (tensor.dtype !== dtype) fail(source, `has ${name} of type ${tensor.dtype}, not ${dtype}`);
    }
  }
  const flat = layouts.map(({ prefix, layout }) => {
    // Float by float would ask for data at a multiple of 4 bytes, which a file need not have.
    const values = new arrays[dtype](layout.size);
    const bytes = new Uint8Array(values.buffer);
    for (const { name, offset, size } of layout.slices) {
      bytes.set(byName.get(prefix + name)!.data, offset * values.BYTES_PER_ELEMENT);
      checkFinite(values.subarray(offset, offset + size), prefix + name, source);
    }
    return values;
  });
  return { layout: layouts[0].layout, flat };
}

const TRAIN_AGAIN =
  "Train again, with a lower learning rate or a grad_clip if it was lost in training.";

/**
 * @param most what is stored as a number is smaller than that
 * @param advice what is to be done about one that is none
 */
export function checkFinite(
  values: Float32Array | Float64Array,
  name: string,
  source: string,
  most = Infinity,
  advice = TRAIN_AGAIN,
): void {
  let index = 0;
  while (index < values.length && Math.abs(values[index]) < most) index++;
  if (index === values.length) return;
  const stored = Math.sign(values[index]) * Infinity; // NaN of NaN
  throw new ModelFileError(
    `${source} has ${stored} in ${name} (element ${index}); weights must be finite. ${advice}`,
  );
}

export function fail(source: string, what: string): never {
  throw new ModelFileError(
    `${source} ${what}. The model is damaged or was not written by this program; restore a copy, or train again.`,
  );
}
