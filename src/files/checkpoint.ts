// A run as one file, in bytes: everything from which it goes on as if it had never stopped.
//
// training.safetensors is enough by itself: weights and Adam's two moments as the trainer has them (float64 on the
// CPU, float32 on the GPU), each tensor by its name in the parameter table, the moments' with m. and v. before it,
// and settings, tokenizer and all counts in its metadata. It is written before the model's files, each in one
// piece, so that a process that is killed in between leaves a run to resume, beside the model as it was before.

import { plural } from "../count.ts";
import { ModelFileError } from "../errors.ts";
import { dimsOf } from "../model/parameters.ts";
import {
  checkFinite,
  fail,
  metadataOf,
  type Model,
  type ModelFile,
  parseJson,
  readConfig,
  readTensors,
  readTokenizer,
  toText,
} from "./model_files.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import { isObject, show } from "./strict_json.ts";

/** What a trainer goes on from. */
export interface TrainerState extends Pick<Model, "step" | "layout" | "values"> {
  /** Adam's decaying means of the gradient and of its square, as `layout` has the values; it leaves no gaps. */
  m: Float32Array | Float64Array;
  v: Float32Array | Float64Array;
  /** Positions trained on since step 1. */
  tokens: number;
  /** The scale on the gradients, and the steps since it was changed; 1 and 0 where there is none. */
  scaler: readonly [scale: number, good: number];
  /** Steps without an update up to now, one after the other. */
  skips: number;
}

/** What tells whether a run goes on with the same text, and where it gives the same bits. */
export interface Circumstances {
  /** Of all tokens and the vocabulary, see fingerprint(). */
  text: string;
  /** Where the text came from; null where nobody said. */
  input: string | null;
  device: "webgpu" | "cpu";
  /** The GPU's name; null on the CPU. */
  adapter: string | null;
  /** Of the kernels that were chosen, see Tuning; null where there was nothing to choose. */
  kernels: string | null;
}

/** A run between two of its steps. */
export interface Checkpoint extends Model, TrainerState, Circumstances {}

export const STATE_FILE = "training.safetensors";

const PREFIXES = ["", "m.", "v."];

/** @throws ModelFileError if a number is not finite; such a run is never saved */
export function encodeCheckpoint(checkpoint: Checkpoint): ModelFile {
  const { layout, values, m, v, tokens, scaler, skips } = checkpoint;
  const { text, input, device, adapter, kernels } = checkpoint;
  const dtype = values instanceof Float64Array ? "F64" : "F32";
  const tensors = [values, m, v].flatMap((flat, i) =>
    layout.slices.map(({ name, shape, offset, size }) => {
      const part = flat.subarray(offset, offset + size);
      checkFinite(part, PREFIXES[i] + name, "The run");
      return { name: PREFIXES[i] + name, shape, dtype, values: part } as const;
    }),
  );
  const training = { tokens, scaler, skips, text, input, device, adapter, kernels };
  const metadata = { ...metadataOf(checkpoint), training: toText(training) };
  return { name: STATE_FILE, bytes: encodeSafetensors(tensors, metadata) };
}

/**
 * @param bytes of the file, undefined if there is none
 * @param where the folder, for the messages
 * @throws ModelFileError if the file is missing, damaged or of a newer version
 */
export function decodeCheckpoint(bytes: Uint8Array | undefined, where: string): Checkpoint {
  if (bytes === undefined) {
    throw new ModelFileError(
      `${where} holds no run to resume: there is no ${STATE_FILE} in it. Name the folder of another, or begin a new run.`,
    );
  }
  const path = `${where}/${STATE_FILE}`;
  const { tensors, metadata } = decodeSafetensors(bytes, path, ["F32", "F64"]);
  const part = (key: string): [value: unknown, source: string] => {
    if (!Object.hasOwn(metadata, key)) fail(path, `lacks its ${key}`);
    const source = `the ${key} in ${path}`;
    return [parseJson(metadata[key], source), source];
  };
  const { config, step, vocab_size } = readConfig(...part("config"));
  const tokenizer = readTokenizer(...part("tokenizer"));
  if (tokenizer.vocab_size !== vocab_size) {
    fail(
      path,
      `has a vocabulary of ${plural(vocab_size, "token")} and a tokenizer of ${tokenizer.vocab_size}`,
    );
  }
  const training = readTraining(...part("training"));
  const { layout, flat } = readTensors(tensors, dimsOf(config, vocab_size), path, PREFIXES);
  const [values, m, v] = flat;
  return { config, tokenizer, step, layout, values, m, v, ...training };
}

function readTraining(file: unknown, source: string) {
  if (!isObject(file)) fail(source, "is not an object");
  const isText = (value: unknown) => typeof value === "string";
  const isTextOrNull = (value: unknown) => value === null || isText(value);
  const isScaler = (value: unknown) =>
    Array.isArray(value) && value.length === 2 && value.every(Number.isFinite) && value[0] > 0;
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const good: Record<string, (value: unknown) => boolean> = {
    tokens: isCount,
    scaler: isScaler,
    skips: isCount,
    text: isText,
    input: isTextOrNull,
    device: (value) => value === "webgpu" || value === "cpu",
    adapter: isTextOrNull,
    kernels: isTextOrNull,
  };
  for (const [key, isGood] of Object.entries(good)) {
    if (!isGood(file[key])) fail(source, `has ${show(file[key])} as its ${key}`);
  }
  return file as unknown as Pick<TrainerState, "tokens" | "scaler" | "skips"> & Circumstances;
}
