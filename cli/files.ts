// Files for the commands: reading the training text, and words for what the file system answers.

import { reason } from "../src/files/reason.node.ts";
import { createReadStream, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ConfigChoice } from "../src/config.ts";
import { DataError } from "../src/errors.ts";
import type { Corpus } from "../src/text/corpus.ts";
import type { Reading } from "../src/text/formats/reader.ts";
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
  reading: Pick<ConfigChoice, "format"> & Reading,
): Promise<{ corpus: Corpus; source: string }> {
  if (path === "-") {
    const source = "standard input";
    return { corpus: await readCorpus(io.stdin, reading, { source, path: null }), source };
  }
  const source = path ?? "names.txt";
  const known = path === undefined && reading.format === "auto";
  const how = known ? { ...reading, format: "lines" as const } : reading;
  const file = path ?? defaultInput;
  const bytes = statSync(file, { throwIfNoEntry: false })?.size;
  const corpus = await readCorpus(piecesOf(file), how, { source, path: source, bytes });
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
