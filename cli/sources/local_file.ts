// Files of this machine: their bytes as they come, and whether they are text at all.

import { createReadStream, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { DataError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";

/** Bytes that are read at a time. */
const PIECE = 2 ** 20;

/** Files up to here are looked through, and of others the beginning. */
const LOOKED_THROUGH = 2 ** 22;
const HEAD = 2 ** 16;

/** What --input takes, as a sentence. */
export const INPUTS =
  "--input takes a text file, a folder, a pattern such as 'src/**/*.ts', a .zip, a URL, - for standard input, or the " +
  "name of a data set.";

/** @throws DataError if it cannot be read */
export async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(path, { highWaterMark: PIECE })) yield piece;
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/** What tells a file from others, and from itself before it was changed. */
export function identityOf(path: string): string {
  const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
  return [path, dev, ino, size, mtimeNs].join("/");
}

export function cannotRead(path: string, error: unknown): DataError {
  return new DataError(`The training text ${path} cannot be read: ${reason(error)}. ${INPUTS}`);
}

/** Whether a file is text, by its bytes; of a large one by the first of them. @throws what the file system throws */
export async function isTextFile(path: string, size: number): Promise<boolean> {
  const file = await open(path);
  try {
    const head = new Uint8Array(size <= LOOKED_THROUGH ? size : HEAD);
    let length = 0;
    while (length < head.length) {
      const { bytesRead } = await file.read(head, length, head.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return isText(head.subarray(0, length), size <= length);
  } finally {
    await file.close();
  }
}

/**
 * Whether bytes are UTF-8 without a NUL, or UTF-16 with its mark.
 * @param whole whether nothing follows that could complete a character
 */
export function isText(bytes: Uint8Array, whole: boolean): boolean {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true;
  if (bytes.includes(0)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !whole });
    return true;
  } catch {
    return false;
  }
}
