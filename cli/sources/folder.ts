// A folder's text files, in the order of their paths: what .gitignore names, what is hidden and what is no text is
// left out and counted.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import ignore, { type Ignore } from "ignore";
import { plural } from "../../src/count.ts";
import { DataError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";
import { printable } from "../samples.ts";
import { identityOf, isTextFile, piecesOf } from "./local_file.ts";
import { type Part, Skipped } from "./part.ts";

/** Left out wherever they are: nobody wrote what is in them. */
const always = ["node_modules", "__pycache__"];

/** What a folder has in it that a run was saved in: its text would change as it trains. */
const ofRuns = ["training.safetensors", "model.safetensors"];

/** @throws DataError if there is no text in it */
export async function folderPart(folder: string): Promise<Part> {
  const skipped = new Skipped();
  const paths = [...walk(folder, "", [], skipped)];
  return filesPart(folder, paths, skipped);
}

/** The texts among some files. @throws DataError if there is none */
export async function filesPart(
  label: string,
  paths: readonly string[],
  skipped: Skipped,
): Promise<Part> {
  const files = [];
  let bytes = 0;
  for (const path of paths) {
    try {
      const { size } = statSync(path);
      if (size === 0) {
        skipped.add("empty file");
      } else if (await isTextFile(path, size)) {
        bytes += size;
        files.push({
          source: printable(path),
          path,
          identity: identityOf(path),
          pieces: piecesOf(path),
        });
      } else {
        skipped.add("binary file");
      }
    } catch (error) {
      skipped.add(`unreadable file (${reason(error)})`);
    }
  }
  if (files.length === 0) {
    throw skipped.noText(label, "a folder or a pattern with text files");
  }
  return {
    files,
    label: `${label} (${plural(files.length, "file")})`,
    bytes,
    skipped: skipped.list,
  };
}

interface Rule {
  /** Of the folder whose .gitignore it is, in the walk, with a slash at its end. */
  base: string;
  rules: Ignore;
}

function* walk(
  root: string,
  inside: string,
  above: readonly Rule[],
  skipped: Skipped,
): Generator<string> {
  const folder = join(root, inside);
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (inside === "") {
      throw new DataError(`The folder ${folder} cannot be read: ${reason(error)}.`);
    }
    skipped.add(`unreadable folder (${reason(error)})`);
    return;
  }
  const rules = [...above, ...rulesIn(folder, inside)];
  // The same order on every system, whatever its own is.
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    const path = `${inside}${name}`;
    const isFolder = entry.isDirectory();
    if (always.includes(name) || name === ".git") continue;
    if (name.startsWith(".") || isIgnored(path, isFolder, rules)) {
      skipped.add(isFolder ? "ignored folder" : "ignored file");
    } else if (isFolder) {
      if (ofRuns.some((file) => existsSync(join(folder, name, file)))) {
        skipped.add("folder of a model");
      } else {
        yield* walk(root, `${path}/`, rules, skipped);
      }
    } else if (entry.isFile()) {
      yield join(root, path);
    } else if (entry.isSymbolicLink()) {
      skipped.add("link");
    } else {
      skipped.add("special file"); // a pipe, a socket or a device
    }
  }
}

function rulesIn(folder: string, base: string): Rule[] {
  try {
    return [{ base, rules: ignore().add(readFileSync(join(folder, ".gitignore"), "utf8")) }];
  } catch {
    return [];
  }
}

/** The innermost .gitignore that has something to say about it decides. */
function isIgnored(path: string, isFolder: boolean, rules: readonly Rule[]): boolean {
  for (const { base, rules: own } of rules.toReversed()) {
    const { ignored, unignored } = own.test(path.slice(base.length) + (isFolder ? "/" : ""));
    if (ignored || unignored) return ignored;
  }
  return false;
}
