// The words of --input, each with what it stands for: standard input, a URL, a file, a folder or a .zip that is there, a
// data set by its name, a pattern of files. What is there wins over a data set of the same name; ./NAME is never one.

import { readFileSync, statSync } from "node:fs";
import * as fs from "node:fs/promises";
import { count, plural } from "../../src/count.ts";
import { DataError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";
import { nearest } from "../../src/nearest.ts";
import type { TextFile } from "../../src/text/read_corpus.ts";
import { UsageError } from "../given.ts";
import type { Io } from "../run.ts";
import { dataSetNames, dataSets } from "./data_sets.ts";
import { filesPart, folderPart } from "./folder.ts";
import { cannotRead, identityOf, INPUTS, piecesOf } from "./local_file.ts";
import { type Part, Skipped } from "./part.ts";
import { pipePart } from "./pipe.ts";
import { Web, type WebOptions, webAddress } from "./web.ts";
import { zipPart } from "./zip.ts";

/** Characters of all words together, at most: they have a place in the run's file. */
const MOST_WORDS = 2 ** 17;

/** All that the words come to, as one text. */
export interface Gathered {
  files: readonly TextFile[];
  /** What the names of the files are, by which their format is told. */
  names: readonly string[];
  bytes: number | undefined;
  label: string;
  skipped: readonly string[];
  /** What stands between the documents, where that is known. */
  separator: string;
}

/** @throws DataError or UsageError if one of them cannot be read, or holds no text */
export async function gather(
  words: readonly string[],
  io: Pick<Io, "stdin" | "stderr">,
  options: WebOptions,
): Promise<Gathered> {
  if (words.filter((word) => word === "-").length > 1) {
    throw new UsageError(`Standard input (-) is given twice, and can be read only once.`);
  }
  const length = words.join().length;
  if (length > MOST_WORDS) {
    throw new UsageError(
      `The ${plural(words.length, "input")} have ${count(length)} characters in their names, which a run keeps to be ` +
        `resumed, and up to ${count(MOST_WORDS)} it can. Give a folder or a pattern, or fewer of them.`,
    );
  }
  const web = new Web(options, io.stderr);
  const parts: Part[] = [];
  for (const word of words) {
    options.signal?.throwIfAborted();
    parts.push(await partOf(word, io, web));
  }
  const [first, ...others] = parts;
  const files = parts.flatMap(({ files }) => files);
  const sizes = parts.map(({ bytes }) => bytes);
  const [set] = words;
  return {
    files,
    names: files.map(({ name, source }) => name ?? source),
    bytes: sizes.reduce((sum, size) =>
      sum === undefined || size === undefined ? undefined : sum + size,
    ),
    label:
      others.length === 0 ? first.label : `${first.label} and ${plural(others.length, "other")}`,
    skipped: parts.flatMap(({ skipped }) => skipped),
    separator: words.length === 1 && !exists(set) ? (dataSets[set]?.separator ?? "") : "",
  };
}

async function partOf(word: string, io: Pick<Io, "stdin" | "stderr">, web: Web): Promise<Part> {
  if (word === "-") {
    const source = "standard input";
    return { files: [{ source, path: null, pieces: io.stdin }], label: source, skipped: [] };
  }
  if (/^https?:/i.test(word)) return web.urlPart(word);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(word)) {
    throw new DataError(`${word} cannot be fetched: only http and https are known here. ${INPUTS}`);
  }
  const there = exists(word);
  if (there?.isDirectory()) return folderPart(word);
  if (there !== undefined) {
    if (!there.isFile()) return pipePart(word, there, io.stderr);
    if (/\.zip$/i.test(word)) return zipPart(word);
    const file = { source: word, path: word, pieces: piecesOf(word) };
    const identity = identityOf(word);
    return { files: [{ ...file, identity }], label: word, bytes: there.size, skipped: [] };
  }
  if (Object.hasOwn(dataSets, word)) return web.dataSetPart(word);
  if (/[*?[{]/.test(word)) return globPart(word);
  throw nothingThere(word);
}

function exists(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw cannotRead(path, error);
  }
}

async function globPart(pattern: string): Promise<Part> {
  const skipped = new Skipped();
  const paths: string[] = [];
  const exclude = (name: string) => /^(node_modules|\.git)$/.test(name);
  if (fs.glob === undefined) {
    throw new DataError(
      `There is no file ${pattern}, and patterns take Node 22 or newer. Name the files or the folder, or let the shell ` +
        `find them.`,
    );
  }
  for await (const path of fs.glob(pattern, { exclude: (entry) => exclude(String(entry)) })) {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isFile()) paths.push(path);
    else if (there !== undefined && !there.isDirectory()) skipped.add("special file");
  }
  if (paths.length === 0) {
    throw new DataError(`No file matches the pattern ${pattern}. ${INPUTS}`);
  }
  return filesPart(pattern, paths.sort(), skipped);
}

function nothingThere(word: string): DataError {
  const near = nearest(word, dataSetNames);
  const advice = near === undefined ? "" : ` Did you mean the data set ${near}?`;
  try {
    statSync(word);
    return cannotRead(word, new Error("it is gone"));
  } catch (error) {
    const { message } = cannotRead(word, error);
    return new DataError(`${message} Data sets are ${dataSetNames.join(", ")}.${advice}`);
  }
}

/**
 * The URLs that a file lists, one a line; what begins with # is a comment.
 * @throws UsageError if it cannot be read, or has something else
 */
export function urlsIn(path: string): string[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const why = error instanceof TypeError ? "it is no UTF-8 text" : reason(error);
    throw new UsageError(`The list of URLs ${path} cannot be read: ${why}. It has a URL a line.`);
  }
  const urls = text.split(/\r\n|\r|\n/).flatMap((line, i) => {
    const word = line.trim();
    if (word === "" || word.startsWith("#")) return [];
    if (/^https?:\/\//i.test(word)) return [webAddress(word).href];
    throw new UsageError(
      `Line ${i + 1} of ${path} is ${JSON.stringify(word.slice(0, 80))} and no URL; each line has one, or a comment after #.`,
    );
  });
  if (urls.length === 0) throw new UsageError(`${path} lists no URL; it has one a line.`);
  return urls;
}
