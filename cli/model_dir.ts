// A model folder on disk: read, and written so that a crash at any moment leaves the old model or the new one.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ModelFileError } from "../src/errors.ts";
import { decodeModel, encodeModel, type Model } from "../src/files/model_files.ts";
import { reason } from "./files.ts";

/** @throws ModelFileError if the folder holds no model that can be used */
export function loadModel(folder: string): Model {
  return decodeModel((name) => readOptional(join(folder, name)), folder);
}

function readOptional(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
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

/** As `mkdir -p`; Node's own never returns where the parent is there but refuses, as in /proc. */
function makeFolder(path: string): void {
  const parent = dirname(path);
  if (!existsSync(parent)) makeFolder(parent);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) mkdirSync(path);
}

/**
 * Saves the model. Each file is written beside its place, flushed to the disk and then renamed, the one
 * that is a whole model by itself first.
 * @throws ModelFileError if the disk refuses it or a weight is not finite; the model before it is still there
 */
export function saveModel(folder: string, model: Model): void {
  const files = encodeModel(model);
  attempt(folder, () => {
    for (const { name, bytes } of files) replaceFile(folder, name, bytes);
  });
}

function replaceFile(folder: string, name: string, bytes: Uint8Array): void {
  const path = temporary(folder, name);
  try {
    writeFileSync(path, bytes, { flush: true });
    renameSync(path, join(folder, name));
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
  flushFolder(folder);
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
