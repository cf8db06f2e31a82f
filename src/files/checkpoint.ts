// A run as one file, in bytes: everything from which it goes on as if it had never stopped.
//
// training.safetensors is enough by itself, but for the frozen weights of a run of adapters, which lie beside it:
// weights and the optimizer's moments as the trainer has them (float64 on the CPU, float32 on the GPU), each tensor by its
// name in the parameter table, the moments' with m. and v. before it, and settings, tokenizer and all counts in its
// metadata. It is written before the model's files, each in one piece, so that a process that is killed in between leaves
// a run to resume, beside the model as it was before.

import type { Config, ConfigChoice } from "../config.ts";
import { plural } from "../count.ts";
import { ModelFileError } from "../errors.ts";
import { mergedConfig } from "../model/adapters.ts";
import { momentLayouts } from "../model/optimizer_state.ts";
import { type Dims, dimsOf, ParameterLayout } from "../model/parameters.ts";
import {
  checkFinite,
  fail,
  metadataOf,
  type Model,
  ModelFile,
  parseJson,
  readConfig,
  readTensors,
  readTokenizer,
  toText,
} from "./model_files.ts";
import { BASE_FILE, baseFingerprint, decodeBase } from "./adapter_files.ts";
import { decodeSafetensors, encodeHeader, MAX_HEADER, safetensorsPieces } from "./safetensors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { isObject, show } from "../strict_json.ts";

/** What a trainer goes on from. */
export interface TrainerState extends Pick<Model, "step" | "layout" | "values"> {
  /**
   * The decaying means of the gradient and of its square that the optimizer keeps, of the parameters that it keeps
   * them of, in the order of `layout` and without gaps: AdamW both of all, SGD no second one, Muon none of its matrices.
   */
  m: Float32Array | Float64Array;
  v: Float32Array | Float64Array;
  /** Positions trained on since step 1. */
  tokens: number;
  /** The scale on the gradients, the steps since it was changed, all steps without an update; 1, 0, 0 where there is none. */
  scaler: readonly [scale: number, good: number, skipped: number];
  /** Steps without an update up to now, one after the other. */
  skips: number;
}

/** What tells whether a run goes on with the same text, and where it gives the same bits. */
export interface Circumstances {
  /** Of all tokens and the vocabulary, see fingerprint(). */
  text: string;
  /** Where the text came from, one part after the other; null where nobody said. */
  input: readonly string[] | null;
  device: "webgpu" | "cpu";
  /** The GPU's name; null on the CPU. */
  adapter: string | null;
  /** Of the kernels that were chosen, see Tuning; null where there was nothing to choose. */
  kernels: string | null;
}

/** The validation with the lowest loss so far. */
export interface Best {
  /** Steps that were done before it. */
  step: number;
  val_loss: number;
  /** Validations after it. */
  later: number;
}

/** A run between two of its steps. */
export interface Checkpoint extends Model, TrainerState, Circumstances {
  /** Of the tokens to learn, as the user said it: the text may have had fewer. */
  asked_vocab_size: number;
  /** False where a validation is due after `step`, and still to come. */
  validated: boolean;
  /** Null before the first validation. */
  best: Best | null;
  /** Whether its weights were a model's, and none were drawn. */
  initialized: boolean;
  /** Of a run whose parameters are adapters, the model that they are beside. */
  frozen?: Model;
}

export const STATE_FILE = "training.safetensors";

/** The tensors of a run: its parameters, and what its optimizer keeps. */
function parts(config: Pick<Config, "optimizer">, dims: Dims) {
  const { m, v } = momentLayouts(config, dims);
  return [
    { prefix: "", layout: new ParameterLayout(dims) },
    { prefix: "m.", layout: m },
    { prefix: "v.", layout: v },
  ];
}

/** Of a header, for what is known only when a run is saved: the text's name, the GPU's. */
const MARGIN = 2 ** 13;

/**
 * @param largest header that is read back, in bytes
 * @throws ModelFileError if the file of a run with these settings would have a longer one
 */
export function checkSavable(
  config: ConfigChoice,
  tokenizer: Tokenizer,
  input: readonly string[] = [],
  largest = MAX_HEADER,
): void {
  const dims = dimsOf(config, tokenizer.vocab_size);
  if (dims.adapters) checkSavable(mergedConfig(config), tokenizer); // the base beside them
  const tensors = parts(config, dims).flatMap(({ prefix, layout }) =>
    layout.slices.map(
      ({ name, shape, size }) => ({ name: prefix + name, shape, dtype: "F64", size }) as const,
    ),
  );
  const model = { config, tokenizer, step: Number.MAX_SAFE_INTEGER } as Model;
  encodeHeader(tensors, metadataOf(model), largest - MARGIN - jsonBytes(input));
}

/** Of what is JSON within JSON. */
function jsonBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(JSON.stringify(value))).length;
}

/** @throws ModelFileError if a number is not finite; such a run is never saved */
export function encodeCheckpoint(checkpoint: Checkpoint): ModelFile {
  const { config, layout, values, m, v, tokens, scaler, skips } = checkpoint;
  const { text, input, device, adapter, kernels, validated, best, asked_vocab_size } = checkpoint;
  const { initialized } = checkpoint;
  const dtype = values instanceof Float64Array ? "F64" : "F32";
  const flats = [values, m, v];
  const tensors = parts(config, layout.dims).flatMap(({ prefix, layout }, i) =>
    layout.slices.map(({ name, shape, offset, size }) => {
      const part = flats[i].subarray(offset, offset + size);
      checkFinite(part, prefix + name, "The run");
      return { name: prefix + name, shape, dtype, values: part } as const;
    }),
  );
  const training = {
    tokens,
    scaler,
    skips,
    text,
    input,
    device,
    adapter,
    kernels,
    validated,
    best,
    asked_vocab_size,
    initialized,
    ...(checkpoint.frozen && { base: baseFingerprint(checkpoint.frozen) }),
  };
  const metadata = { ...metadataOf(checkpoint), training: toText(training) };
  return new ModelFile(STATE_FILE, safetensorsPieces(tensors, metadata));
}

/**
 * @param bytes of the file, undefined if there is none
 * @param where the folder, for the messages
 * @param read gives the bytes of the folder's file of frozen weights; where there is no folder, a run of adapters cannot be
 *   read
 * @throws ModelFileError if the file is missing, damaged or of a newer version
 */
export function decodeCheckpoint(
  bytes: Uint8Array | undefined,
  where: string,
  read?: (name: string) => Uint8Array | undefined,
): Checkpoint {
  if (bytes === undefined) {
    throw new ModelFileError(
      `${where} holds no run to resume: there is no ${STATE_FILE} in it. Name the folder of another, or begin a new run.`,
    );
  }
  const path = `${where}/${STATE_FILE}`;
  const { tensors, metadata } = decodeSafetensors(bytes, path, ["F32", "F64"]);
  const { config, step, vocab_size } = readConfig(...partOf(metadata, "config", path));
  const tokenizer = readTokenizer(...partOf(metadata, "tokenizer", path));
  if (tokenizer.vocab_size !== vocab_size) {
    fail(
      path,
      `has a vocabulary of ${plural(vocab_size, "token")} and a tokenizer of ${tokenizer.vocab_size}`,
    );
  }
  const training = readTraining(...partOf(metadata, "training", path), config);
  const dims = dimsOf(config, vocab_size);
  const { layout, flat } = readTensors(tensors, dims, path, (dims) => parts(config, dims));
  const [values, m, v] = flat;
  const { base, ...rest } = training;
  const run = { config, tokenizer, step, layout, values, m, v, ...rest };
  if (!dims.adapters) return run;
  if (base === undefined) fail(path, "lacks the fingerprint of its frozen weights");
  if (!read) {
    throw new ModelFileError(
      `${path} is of a run of adapters, whose frozen weights are in another file, ${BASE_FILE}; name the folder of both.`,
    );
  }
  return { ...run, frozen: decodeBase(read(BASE_FILE), where, base) };
}

/**
 * What a run is, from its file's metadata alone.
 * @throws ModelFileError if that is damaged or of a newer version
 */
export function describeRun(metadata: Readonly<Record<string, string>>, path: string) {
  const { config, step } = readConfig(...partOf(metadata, "config", path));
  const { input, validated, best } = readTraining(...partOf(metadata, "training", path), config);
  return { config, step, input, validated, best };
}

function partOf(
  metadata: Readonly<Record<string, string>>,
  key: string,
  path: string,
): [value: unknown, source: string] {
  if (!Object.hasOwn(metadata, key)) fail(path, `lacks its ${key}`);
  const source = `the ${key} in ${path}`;
  return [parseJson(metadata[key], source), source];
}

/**
 * Files of before there was `validated` were saved after the validation, and of `best` and `asked_vocab_size` they know
 * nothing; those of before there could be several inputs have one, and no list.
 */
function readTraining(json: unknown, source: string, { vocab_size }: Config) {
  if (!isObject(json)) fail(source, "is not an object");
  const unknown = { validated: true, best: null, asked_vocab_size: vocab_size, initialized: false };
  const file = { ...unknown, ...json } as Record<string, unknown>;
  if (typeof file.input === "string") file.input = [file.input];
  const isText = (value: unknown) => typeof value === "string";
  const isTextOrNull = (value: unknown) => value === null || isText(value);
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isBest = (value: unknown) =>
    value === null ||
    (isObject(value) &&
      isCount(value.step) &&
      isCount(value.later) &&
      Number.isFinite(value.val_loss));
  const isScaler = (value: unknown) => {
    if (!Array.isArray(value) || value.length < 2 || value.length > 3) return false;
    const [scale, ...counts] = value;
    return Number.isFinite(scale) && scale > 0 && counts.every(isCount);
  };
  const good: Record<string, (value: unknown) => boolean> = {
    tokens: isCount,
    scaler: isScaler,
    skips: isCount,
    text: isText,
    input: (value) => value === null || (Array.isArray(value) && value.every(isText)),
    device: (value) => value === "webgpu" || value === "cpu",
    adapter: isTextOrNull,
    kernels: isTextOrNull,
    validated: (value) => typeof value === "boolean",
    best: isBest,
    asked_vocab_size: isCount,
    initialized: (value) => typeof value === "boolean",
    base: (value) => value === undefined || isText(value),
  };
  for (const [key, isGood] of Object.entries(good)) {
    if (!isGood(file[key])) fail(source, `has ${show(file[key])} as its ${key}`);
  }
  const read = file as unknown as Pick<
    Checkpoint,
    "tokens" | "scaler" | "skips" | "validated" | "best" | "asked_vocab_size" | "initialized"
  > &
    Circumstances & { base?: string };
  const [scale, steps, skipped = 0] = read.scaler; // of two numbers where it is an older version's
  return { ...read, scaler: [scale, steps, skipped] as const };
}
