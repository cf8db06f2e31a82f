// A model folder on disk: read, and written so that a crash at any moment leaves the old model or the new one.

import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ModelFileError } from "../src/errors.ts";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  STATE_FILE,
} from "../src/files/checkpoint.ts";
import { decodeModel, encodeModel, type Model } from "../src/files/model_files.ts";
import { makeFolder } from "../src/platform/platform.node.ts";
import { reason } from "./files.ts";

/** @throws ModelFileError if the folder holds no model that can be used */
export function loadModel(folder: string): Model {
  return decodeModel((name) => readOptional(join(folder, name)), folder);
}

/** @throws ModelFileError if the folder holds no run that can be resumed */
export function loadCheckpoint(folder: string): Checkpoint {
  return decodeCheckpoint(readOptional(join(folder, STATE_FILE)), folder);
}

function readOptional(path: string): Uint8Array | undefined {
  try {
    return readWhole(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ModelFileError(`${path} cannot be read: ${reason(error)}.`);
  }
}

/**
 * Makes the folder and writes into it once: a run of hours must not find out at its end that it cannot
 * save. Removes what killed processes left behind.
 * @throws ModelFileError if no model can be saved there
 */
export function prepareFolder(folder: string): void {
  attempt(folder, () => {
    makeFolder(folder);
    for (const file of readdirSync(folder)) if (isStale(file)) rmSync(join(folder, file));
    const probe = temporary(folder, "probe");
    writeFileSync(probe, "");
    rmSync(probe);
  });
}

/**
 * Saves the model. Each file is written beside its place, flushed to the disk and then renamed, the one
 * that is a whole model by itself first. A run that could be resumed there has another model, and goes.
 * @throws ModelFileError if the disk refuses it or a weight is not finite; the model before it is still there
 */
export function saveModel(folder: string, model: Model): void {
  const [weights, ...others] = encodeModel(model);
  attempt(folder, () => {
    replaceFile(folder, weights.name, weights.pieces);
    rmSync(join(folder, STATE_FILE), { force: true });
    for (const { name, pieces } of others) replaceFile(folder, name, pieces);
  });
}

/**
 * Saves a run, to be resumed, and its model: as saveModel(), and before it the file that is a whole run by itself.
 * @throws ModelFileError if the disk refuses it or a number is not finite; what was there before is still there, or
 *   where only the run could not be written, the new model
 */
export function saveCheckpoint(folder: string, checkpoint: Checkpoint): void {
  const files = encodeModel(checkpoint);
  let refused: unknown;
  try {
    const { name, pieces } = encodeCheckpoint(checkpoint);
    replaceFile(folder, name, pieces);
  } catch (error) {
    refused = error;
  }
  attempt(folder, () => {
    for (const { name, pieces } of files) replaceFile(folder, name, pieces);
  });
  if (refused === undefined) return;
  throw new ModelFileError(
    `The model of step ${checkpoint.step} is saved in ${folder}, but not the run, to be resumed from there: ` +
      `${refused instanceof ModelFileError ? refused.message : `${reason(refused)}.`}`,
  );
}

function replaceFile(folder: string, name: string, pieces: Iterable<Uint8Array>): void {
  const path = temporary(folder, name);
  try {
    writeWhole(path, pieces);
    renameSync(path, join(folder, name));
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
  flushFolder(folder);
}

/** Bytes that a call of node:fs takes; beyond 2 GiB it refuses. */
const PIECE = 2 ** 30;

/** Writes a file of any size and flushes it to the disk. */
function writeWhole(path: string, pieces: Iterable<Uint8Array>): void {
  const file = openSync(path, "w");
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        at += writeSync(file, piece, at, Math.min(PIECE, piece.length - at));
      }
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readWhole(path: string): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(fstatSync(file).size);
    let end = 0;
    for (let read = -1; read !== 0 && end < bytes.length; end += read) {
      read = readSync(file, bytes, end, Math.min(PIECE, bytes.length - end), null);
    }
    return bytes.subarray(0, end);
  } finally {
    closeSync(file);
  }
}

/** A rename lasts through a power cut once the folder is on the disk too. */
function flushFolder(folder: string): void {
  // Windows has no such call for folders.
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** In the folder itself, as a rename is atomic only within one file system; with the process's id. */
function temporary(folder: string, name: string): string {
  return join(folder, `.${name}.${process.pid}.tmp`);
}

/** True for a temporary file of a process that no longer lives, or of an earlier one with our id. */
function isStale(file: string): boolean {
  const pid = /^\..+\.(\d+)\.tmp$/.exec(file)?.[1];
  return pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function attempt(folder: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new ModelFileError(
      `No model can be saved in ${folder}: ${reason(error)}. --output takes a folder that can be written to.`,
    );
  }
}
