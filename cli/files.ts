// Files for the commands: reading the training text, and words for what the file system answers.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Config } from "../src/config.ts";
import { DataError } from "../src/errors.ts";
import { decodeText, documentsOf } from "../src/text/documents.ts";
import type { Io } from "./run.ts";

const defaultInput = fileURLToPath(new URL("../src/text/names.txt", import.meta.url));

/**
 * The documents of a text file, of standard input (`-`), or the names that come along; for format text all
 * of it as one.
 * @throws DataError if it cannot be read, is not UTF-8 text, or holds no document
 */
export async function readDocuments(
  path: string | undefined,
  io: Io,
  format: Config["format"],
): Promise<{ documents: string[]; source: string }> {
  const source = path === undefined ? "names.txt" : path === "-" ? "standard input" : path;
  const bytes = path === "-" ? await readAll(io.stdin) : readInput(path ?? defaultInput);
  return { documents: documentsOf(decodeText(bytes, source), source, format), source };
}

function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new DataError(
      `The training text ${path} cannot be read: ${reason(error)}. ` + `--input takes a text file.`,
    );
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
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
