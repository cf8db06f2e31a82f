// Where an exported model goes: a folder or a file, which is there whole or not at all, and replaces nothing unasked.

import { randomBytes } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { ModelFileError, UserError } from "../src/errors.ts";
import type { ExportFormat } from "../src/exchange/formats.ts";
import { INDEX_FILE } from "../src/exchange/huggingface/read_weights.ts";
import { flushFolder, replaceFile } from "../src/files/model_dir.node.ts";
import { type ModelFile, WEIGHTS_FILE } from "../src/files/model_files.ts";
import { reason } from "../src/files/reason.node.ts";
import { makeFolder } from "../src/platform/platform.node.ts";
import { isModelFolder } from "./earlier.ts";
import { bytes } from "./format.ts";
import type { Output } from "./run.ts";

/** How often a terminal is told how far a file is. */
const UPDATE_MS = 100;

export class ExportPlace {
  private readonly path: string;
  private readonly kind: ExportFormat["kind"];

  /** @throws UserError if something is there that is not to be replaced */
  constructor(path: string, kind: ExportFormat["kind"], overwrite: boolean) {
    this.path = path;
    this.kind = kind;
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (found.isDirectory() !== (kind === "folder")) {
      throw refused(
        path,
        kind === "folder"
          ? "it is a file, and a folder is written"
          : "it is a folder, and a file is written",
      );
    }
    if (kind === "file" ? !overwrite : !overwrite && readdirSync(path).length > 0) {
      throw refused(
        path,
        `${kind === "file" ? "it is there already" : "it holds files already"}; --overwrite replaces those of the same names`,
      );
    }
    if (kind === "folder" && isModelFolder(path)) {
      throw refused(
        path,
        "it holds a model as it was trained, which is not replaced by a copy in another format",
      );
    }
  }

  /** @returns the files, with their sizes in bytes */
  write(files: readonly ModelFile[], out: Output): { name: string; size: number }[] {
    const { path } = this;
    const folder = this.kind === "file" ? dirname(path) : path;
    try {
      if (this.kind === "file") {
        makeFolder(folder);
        return [put(folder, basename(path), files[0], out)];
      }
      const isNew = !existsSync(path) || readdirSync(path).length === 0;
      return isNew ? writeNew(path, files, out) : writeOver(path, files, out);
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw refused(path, reason(error));
    }
  }
}

function refused(path: string, why: string): ModelFileError {
  return new ModelFileError(`Nothing is exported to ${path}: ${why}. Choose another --output.`);
}

/** A folder of its own, which takes its name once all of it is there. */
function writeNew(path: string, files: readonly ModelFile[], out: Output) {
  const parent = dirname(resolve(path));
  makeFolder(parent);
  const draft = join(parent, `.${basename(resolve(path))}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    makeFolder(draft);
    const written = files.map((file) => put(draft, file.name, file, out));
    flushFolder(draft);
    if (existsSync(path)) rmdirSync(path);
    renameSync(draft, path);
    flushFolder(parent);
    return written;
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
}

function writeOver(path: string, files: readonly ModelFile[], out: Output) {
  const before = weightFilesIn(path);
  const written = files.map((file) => put(path, file.name, file, out));
  for (const name of before) {
    if (!files.some((file) => file.name === name)) rmSync(join(path, name), { force: true });
  }
  flushFolder(path);
  return written;
}

/** Weights of an earlier export, which beside new ones of other names would be read in their place. */
function weightFilesIn(path: string): string[] {
  if (!existsSync(join(path, INDEX_FILE))) return [WEIGHTS_FILE];
  try {
    const { weight_map } = JSON.parse(readFileSync(join(path, INDEX_FILE), "utf8"));
    const shards = Object.values(weight_map as object).map(String);
    return [INDEX_FILE, ...new Set(shards)].filter((name) => basename(name) === name);
  } catch {
    return [INDEX_FILE]; // damaged: what it lists is not known
  }
}

function put(folder: string, name: string, file: ModelFile, out: Output) {
  let size = 0;
  let told = performance.now();
  function* counted() {
    for (const piece of file.pieces) {
      yield piece;
      size += piece.length;
      if (!out.isTTY || performance.now() - told < UPDATE_MS) continue;
      told = performance.now();
      out.write(`\rwriting ${name}, ${bytes(size)} so far\x1b[K`);
    }
  }
  replaceFile(folder, name, counted());
  if (out.isTTY) out.write("\r\x1b[K");
  return { name, size };
}
