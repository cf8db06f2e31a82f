// Where an exported model goes: a folder or a file, which is there whole or not at all, and replaces nothing unasked.

import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { ModelFileError, UserError } from "../src/errors.ts";
import type { ExportFormat } from "../src/exchange/formats.ts";
import { INDEX_FILE } from "../src/exchange/huggingface/read_weights.ts";
import { type ModelFile, WEIGHTS_FILE } from "../src/files/model_files.ts";
import { reason } from "../src/files/reason.node.ts";
import {
  flushFolder,
  nameOfTemporary,
  replacing,
  temporaryName,
} from "../src/files/replace_file.node.ts";
import { Breather } from "../src/platform/breather.ts";
import { makeFolder } from "../src/platform/platform.node.ts";
import { isModelFolder, ownFilesIn } from "./earlier.ts";
import { bytes } from "./format.ts";
import type { Output } from "./run.ts";

/** How often a terminal is told how far a file is. */
const UPDATE_MS = 100;

interface Written {
  name: string;
  /** In bytes. */
  size: number;
}

export class ExportPlace {
  /** As it was given, for the messages. */
  private readonly given: string;
  /** Where it is, links followed. */
  private readonly path: string;
  private readonly kind: ExportFormat["kind"];
  private readonly isNew: boolean;

  /** @throws UserError if something is there that is not to be replaced */
  constructor(given: string, kind: ExportFormat["kind"], overwrite: boolean) {
    this.given = given;
    this.kind = kind;
    const why = (() => {
      try {
        return whyNot(given, kind, overwrite);
      } catch (error) {
        return reason(error);
      }
    })();
    if (why !== undefined) throw refused(given, why);
    this.isNew = !existsSync(given);
    this.path = this.isNew ? resolve(given) : realpathSync(given);
  }

  /** What an export that was killed has left there. */
  leftovers(): string[] {
    const { path, isNew, kind } = this;
    const [folder, name] = [dirname(path), basename(path)];
    const drafts = (folder: string) =>
      readdirSync(folder).filter((file) => nameOfTemporary(file) === name);
    try {
      const inside = isNew || kind === "file" ? [] : drafts(path).map((file) => join(path, file));
      return [...inside, ...drafts(folder).map((file) => join(folder, file))];
    } catch {
      return []; // it cannot be listed
    }
  }

  /**
   * Writes the files, or where that fails or is ended, leaves all as it was.
   * @throws ModelFileError if the disk refuses it; and the signal's reason
   */
  async write(files: readonly ModelFile[], out: Output, signal: AbortSignal): Promise<Written[]> {
    try {
      return await new Breather().through(this.writing(files, out), signal);
    } catch (error) {
      if (error instanceof UserError || error === signal.reason) throw error;
      throw refused(this.given, reason(error));
    }
  }

  private *writing(files: readonly ModelFile[], out: Output): Generator<void, Written[]> {
    const { path, isNew } = this;
    const [folder, name] = [dirname(path), basename(path)];
    if (isNew) makeFolder(folder);
    if (this.kind === "file") {
      const written = yield* put(folder, name, files[0], out);
      flushFolder(folder);
      return [written];
    }
    // One that is there may be all that can be written to, and may lie on another disk than what it is in.
    const draft = join(isNew ? folder : path, temporaryName(name));
    const written: Written[] = [];
    try {
      makeFolder(draft);
      for (const file of files) written.push(yield* put(draft, file.name, file, out));
      flushFolder(draft);
      if (isNew) renameSync(draft, path);
      else replaceAll(path, draft, files);
      flushFolder(isNew ? folder : path);
      return written;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
}

/** Why nothing can be written there, as the end of a sentence; undefined if it can. */
function whyNot(path: string, kind: ExportFormat["kind"], overwrite: boolean): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    const isLink = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    return isLink ? "it is a link to what is not there" : undefined;
  }
  if (kind === "folder") {
    if (!found.isDirectory()) return "it is a file, and a folder is written";
    if (isModelFolder(path))
      return "it holds a model as it was trained, which is not replaced by a copy in another format";
    if (overwrite || readdirSync(path).every((name) => nameOfTemporary(name) !== undefined))
      return undefined;
    return "it holds files already; --overwrite replaces those of the same names";
  }
  if (found.isDirectory()) return "it is a folder, and a file is written";
  if (!found.isFile()) return "it is no file that could be replaced";
  const real = realpathSync(path);
  if (isModelFolder(dirname(real)) && ownFilesIn(dirname(real)).includes(basename(real)))
    return "it is a part of a model as it was trained, which is not replaced by a copy in another format";
  return overwrite
    ? undefined
    : "it is there already; --overwrite replaces those of the same names";
}

function refused(path: string, why: string): ModelFileError {
  return new ModelFileError(`Nothing is exported to ${path}: ${why}. Choose another --output.`);
}

/** Moves a draft's files to where they should be; until the last one is there, nobody takes the folder for whole. */
function replaceAll(path: string, draft: string, files: readonly ModelFile[]): void {
  const names = files.map((file) => file.name);
  const hasWeights = [WEIGHTS_FILE, INDEX_FILE].some((name) => names.includes(name));
  const before = hasWeights ? weightFilesIn(path).filter((name) => !names.includes(name)) : [];
  for (const name of [names.at(-1)!, ...before]) rmSync(join(path, name), { force: true });
  for (const name of names) renameSync(join(draft, name), join(path, name));
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

function* put(
  folder: string,
  name: string,
  file: ModelFile,
  out: Output,
): Generator<void, Written> {
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
  try {
    yield* replacing(folder, name, counted());
  } finally {
    if (out.isTTY) out.write("\r\x1b[K");
  }
  return { name, size };
}
