// Files for the commands: reading the training text, and words for what the file system answers.

import { createReadStream, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ConfigChoice } from "../src/config.ts";
import { DataError } from "../src/errors.ts";
import type { Corpus } from "../src/text/corpus.ts";
import { readCorpus } from "../src/text/read_corpus.ts";
import type { Io } from "./run.ts";

const defaultInput = fileURLToPath(new URL("../src/text/names.txt", import.meta.url));

/** Bytes of a file that are read at a time. */
const PIECE = 2 ** 20;

/**
 * The text of a file, of standard input (`-`), or the names that come along, which are a document a line.
 * @throws DataError if it cannot be read, is no text, or holds nothing to train on
 */
export async function readText(
  path: string | undefined,
  io: Io,
  format: ConfigChoice["format"],
): Promise<{ corpus: Corpus; source: string }> {
  if (path === "-") {
    const source = "standard input";
    return { corpus: await readCorpus(io.stdin, format, { source, path: null }), source };
  }
  const source = path ?? "names.txt";
  const known = path === undefined && format === "auto" ? "lines" : format;
  const file = path ?? defaultInput;
  const bytes = statSync(file, { throwIfNoEntry: false })?.size;
  const corpus = await readCorpus(piecesOf(file), known, { source, path: source, bytes });
  return { corpus, source };
}

async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(path, { highWaterMark: PIECE })) yield piece;
  } catch (error) {
    throw new DataError(
      `The training text ${path} cannot be read: ${reason(error)}. --input takes a text file.`,
    );
  }
}

const reasons: Record<string, string> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is a file and not a folder",
  EEXIST: "there is a file of that name, and a folder is needed",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EFBIG: "it would be larger than a file may be here",
  EIO: "what it is written to does not answer",
  EDQUOT: "the disk quota is used up",
  ENAMETOOLONG: "the name is too long",
};

/** Why a call of node:fs failed, as the end of a sentence. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return Object.hasOwn(reasons, code ?? "") ? `${reasons[code!]} (${code})` : message;
}
