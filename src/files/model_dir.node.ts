// A model folder on disk: read, and written so that a crash at any moment leaves the old model or the new one.

import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelFileError } from "../errors.ts";
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_FILE,
  BASE_FILE,
  baseFingerprint,
  decodeAdapted,
  encodeAdapters,
  encodeBase,
  mergedModel,
} from "./adapter_files.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, STATE_FILE } from "./checkpoint.ts";
import {
  BEST_FILE,
  CHAT_TEMPLATE_FILE,
  CONFIG_FILE,
  decodeModel,
  decodeModelFile,
  encodeModel,
  type Model,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from "./model_files.ts";
import { decodeMetadata, headBytes } from "./safetensors.ts";
import { finish } from "../finish.ts";
import { makeFolder } from "../platform/platform.node.ts";
import { reason } from "./reason.node.ts";
import { flushFolder, nameOfTemporary, replaceFile, replacing } from "./replace_file.node.ts";

/** Of a model, and of the run that trains it. */
export const modelFiles: readonly string[] = [
  WEIGHTS_FILE,
  BEST_FILE,
  STATE_FILE,
  CONFIG_FILE,
  TOKENIZER_FILE,
  CHAT_TEMPLATE_FILE,
  BASE_FILE,
  ADAPTER_FILE,
  ADAPTER_CONFIG_FILE,
];

/** Of a model whose parameters are adapters, in the place of its weights. */
const adapterFiles: readonly string[] = [BASE_FILE, ADAPTER_FILE, ADAPTER_CONFIG_FILE];

/**
 * The model, that of adapters and their base, or that of the run where it was killed before its first model was whole.
 * @throws ModelFileError if the folder holds no model that can be used
 */
export function loadModel(from: string | URL): Model {
  const folder = pathOf(from);
  const read = (name: string) => readOptional(join(folder, name));
  const has = (name: string) => existsSync(join(folder, name));
  if (has(ADAPTER_FILE) && !has(WEIGHTS_FILE)) return decodeAdapted(read, folder);
  if (has(WEIGHTS_FILE) || !has(STATE_FILE)) return decodeModel(read, folder);
  const run = loadCheckpoint(folder);
  if (run.step > 0) return run.frozen ? mergedModel({ ...run, frozen: run.frozen }) : run;
  throw new ModelFileError(
    `The run in ${folder} ended before it saved a model; go on with it: train --resume.`,
  );
}

/**
 * The model that its run kept as the best, by the loss of its validations.
 * @throws ModelFileError if the folder holds none that can be used
 */
export function loadBest(from: string | URL): Model {
  const folder = pathOf(from);
  const path = join(folder, BEST_FILE);
  const bytes = readOptional(path);
  if (bytes !== undefined) return decodeModelFile(bytes, path);
  throw new ModelFileError(
    `${folder} holds no best model: there is no ${BEST_FILE} in it. A run keeps one if it has an eval_every and ` +
      `something is held out; ask for the last model, or train so.`,
  );
}

/** @param from its path, or its address as import.meta.url has them */
function pathOf(from: string | URL): string {
  return typeof from === "string" ? from : fileURLToPath(from);
}

/** @throws ModelFileError if the folder holds no run that can be resumed */
export function loadCheckpoint(folder: string): Checkpoint {
  const read = (name: string) => readOptional(join(folder, name));
  return decodeCheckpoint(read(STATE_FILE), folder, read);
}

/**
 * The bytes of a file, undefined if there is none.
 * @param most bytes that are read, from the beginning
 */
export function readOptional(path: string, most = Infinity): Uint8Array | undefined {
  try {
    return readWhole(path, most);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ModelFileError(`${path} cannot be read: ${reason(error)}.`);
  }
}

/**
 * Saves the model. Each file is written beside its place, flushed to the disk and then renamed, the one
 * that is a whole model by itself first. A run that could be resumed there has another model, and goes with its best.
 * @throws ModelFileError if the disk refuses it or a weight is not finite; the model before it is still there
 */
export function saveModel(folder: string, model: Model): void {
  finish(savingModel(folder, model));
}

/**
 * As saveModel(), a part at a time; where it is left undone, all is as it was.
 * @param before done once the weights are on the disk, beside their place
 */
export function* savingModel(
  folder: string,
  model: Model,
  before?: () => void,
): Generator<void, void> {
  const [weights, ...others] = encodeModel(model);
  try {
    makeFolder(folder);
    yield* replacing(folder, weights.name, weights.pieces, before);
    for (const name of [STATE_FILE, BEST_FILE, CHAT_TEMPLATE_FILE, ...adapterFiles])
      rmSync(join(folder, name), { force: true });
    for (const { name, pieces } of others) replaceFile(folder, name, pieces);
    flushFolder(folder);
  } catch (error) {
    throw refusal(folder, error);
  }
}

/**
 * Saves a model as the best of the run in the folder, in one piece.
 * @throws ModelFileError as saveModel()
 */
export function saveBest(folder: string, model: Model): void {
  const [{ pieces }] = encodeModel(model);
  attempt(folder, () => {
    replaceFile(folder, BEST_FILE, pieces);
    flushFolder(folder);
  });
}

/**
 * Saves a run, to be resumed, and its model: as saveModel(), and before it the file that is a whole run by itself.
 * @throws ModelFileError if the disk refuses it or a number is not finite; what was there before is still there, or
 *   where only the run could not be written, the new model
 */
export function saveCheckpoint(folder: string, checkpoint: Checkpoint): void {
  const { frozen } = checkpoint;
  const files = frozen ? encodeAdapters({ ...checkpoint, frozen }) : encodeModel(checkpoint);
  let refused: unknown;
  try {
    makeFolder(folder);
    if (frozen) saveBase(folder, frozen);
    const { name, pieces } = encodeCheckpoint(checkpoint);
    replaceFile(folder, name, pieces);
  } catch (error) {
    refused = error;
  }
  attempt(folder, () => {
    for (const { name, pieces } of files) replaceFile(folder, name, pieces);
    for (const name of frozen ? [WEIGHTS_FILE] : adapterFiles) {
      rmSync(join(folder, name), { force: true }); // of another model that was here
    }
    flushFolder(folder);
  });
  if (refused === undefined) return;
  throw new ModelFileError(
    `The model of step ${checkpoint.step} is saved in ${folder}, but not the run, to be resumed from there: ` +
      `${refused instanceof ModelFileError ? refused.message : `${reason(refused)}.`}`,
  );
}

/** Saves the weights beside adapters, where they are not in the folder yet: they never change. */
function saveBase(folder: string, frozen: Model): void {
  const path = join(folder, BASE_FILE);
  try {
    const start = readOptional(path, 8);
    const head = start && readOptional(path, headBytes(start, Infinity, path));
    if (head && decodeMetadata(head, path).base === baseFingerprint(frozen)) return;
  } catch {
    // It is damaged.
  }
  replaceFile(folder, BASE_FILE, encodeBase(frozen).pieces);
}

/** Bytes that a call of node:fs takes; beyond 2 GiB it refuses. */
const PIECE = 2 ** 30;

function readWhole(path: string, most: number): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(Math.min(fstatSync(file).size, most));
    let end = 0;
    for (let read = -1; read !== 0 && end < bytes.length; end += read) {
      read = readSync(file, bytes, end, Math.min(PIECE, bytes.length - end), null);
    }
    return bytes.subarray(0, end);
  } finally {
    closeSync(file);
  }
}

/** What a killed process left, if no other is at work: the temporary files of the files that are written here. */
export function isTemporary(file: string): boolean {
  const name = nameOfTemporary(file);
  return name !== undefined && modelFiles.includes(name);
}

/** @throws ModelFileError in the place of what the file system throws */
export function attempt<T>(folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw refusal(folder, error);
  }
}

export function refusal(folder: string, error: unknown): ModelFileError {
  if (error instanceof ModelFileError) return error;
  if (error instanceof RangeError) {
    return new ModelFileError(
      `No model can be saved in ${folder}: main memory does not suffice (${error.message}). Free some of it, or ` +
        `train a smaller model.`,
    );
  }
  return new ModelFileError(
    `No model can be saved in ${folder}: ${reason(error)}. --output takes a folder that can be written to.`,
  );
}
