// Files that are replaced in one piece: written beside their place, flushed to the disk, renamed.

import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { finish } from "../finish.ts";

/** Bytes that are written and flushed at a time: a disk has done that within a second or so. */
const PART = 2 ** 26;

/**
 * Replaces a file in one piece; flushFolder() makes it last.
 * @param before done once the new one is on the disk, beside its place
 */
export function replaceFile(
  folder: string,
  name: string,
  pieces: Iterable<Uint8Array>,
  before?: () => void,
): void {
  finish(replacing(folder, name, pieces, before));
}

/** As replaceFile(), a part at a time; where it is left undone, all is as it was. */
export function* replacing(
  folder: string,
  name: string,
  pieces: Iterable<Uint8Array>,
  before: () => void = () => {},
): Generator<void, void> {
  // In the folder itself, as a rename is atomic only within one file system.
  const path = join(folder, temporaryName(name));
  let done = false;
  try {
    yield* writing(path, pieces);
    before();
    renameSync(path, join(folder, name));
    done = true;
  } finally {
    if (!done) rmSync(path, { force: true });
  }
}

/** Writes a file of any size and flushes it to the disk. */
function* writing(path: string, pieces: Iterable<Uint8Array>): Generator<void, void> {
  const file = openSync(path, "w");
  let unflushed = 0;
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const size = writeSync(file, piece, at, Math.min(PART, piece.length - at));
        at += size;
        unflushed += size;
        if (unflushed < PART) continue;
        fsyncSync(file);
        unflushed = 0;
        yield;
      }
      yield;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A rename lasts through a power cut once the folder is on the disk too. */
export function flushFolder(folder: string): void {
  // Windows has no such call for folders.
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What a file, or a folder, is called until all of it is there. */
export function temporaryName(name: string): string {
  return `.${name}.${randomBytes(6).toString("hex")}.tmp`;
}

/** The name that such a one is to have; undefined for any other. */
export function nameOfTemporary(file: string): string | undefined {
  return /^\.(.+)\.[0-9a-f]+\.tmp$/.exec(file)?.[1];
}
