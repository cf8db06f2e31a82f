// A .zip: its text files, in the order of their paths, read from within it. What they unpack to is bounded before any of
// it is unpacked.

import * as zlib from "node:zlib";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { plural } from "../../src/count.ts";
import { DataError } from "../../src/errors.ts";
import { show } from "../../src/strict_json.ts";
import { bytes as bytesText } from "../format.ts";
import { printable } from "../samples.ts";
import { identityOf, isText } from "./local_file.ts";
import { type Part, Skipped } from "./part.ts";

interface ZipLimits {
  entries: number;
  /** Of all entries together, unpacked. */
  bytes: number;
  /** How many times as long as the file that may be, where it is longer than `harmless`. */
  ratio: number;
  harmless: number;
}

const usual: ZipLimits = { entries: 200_000, bytes: 2 ** 36, ratio: 200, harmless: 2 ** 28 };

/** Bytes of an entry that tell whether it is text. */
const HEAD = 2 ** 16;

/** @throws DataError if it is damaged, no ZIP archive, too large, or has no text in it */
export async function zipPart(path: string, label = path, limits = usual): Promise<Part> {
  const { zip, entries } = await list(path, label, limits);
  const skipped = new Skipped();
  let texts: Entry[];
  try {
    texts = await textsAmong(zip, entries, label, skipped);
    if (texts.length === 0) throw skipped.noText(label, "a .zip with text files");
  } catch (error) {
    zip.close();
    throw error;
  }
  let unread = texts.length;
  const closing = async function* (entry: Entry) {
    try {
      yield* piecesOf(zip, entry, label);
    } finally {
      if (--unread === 0) zip.close();
    }
  };
  const identity = identityOf(path);
  return {
    files: texts.map((entry) => ({
      source: sourceOf(entry, label),
      path: null,
      name: entry.fileName,
      identity: `${identity}/${entry.fileName}`,
      pieces: closing(entry),
    })),
    label: `${label} (${plural(texts.length, "file")})`,
    bytes: texts.reduce((sum, { uncompressedSize }) => sum + uncompressedSize, 0),
    skipped: skipped.list,
  };
}

async function textsAmong(
  zip: ZipFile,
  entries: readonly Entry[],
  label: string,
  skipped: Skipped,
): Promise<Entry[]> {
  const texts: Entry[] = [];
  for (const entry of entries) {
    const { fileName: name, uncompressedSize: size } = entry;
    if (/(^|\/)(\.|__MACOSX\/|node_modules\/)/.test(name)) skipped.add("ignored file");
    else if (entry.isEncrypted()) skipped.add("encrypted file");
    else if (!entry.canDecodeFileData()) skipped.add("file packed in an unknown way");
    else if (size === 0) skipped.add("empty file");
    else if (await startsAsText(zip, entry, label)) texts.push(entry);
    else skipped.add("binary file");
  }
  return texts;
}

/** For people: a terminal obeys no name. */
function sourceOf({ fileName }: Entry, label: string): string {
  return printable(`${fileName} in ${label}`);
}

async function list(path: string, label: string, limits: ZipLimits) {
  let zip: ZipFile | undefined;
  const entries: Entry[] = [];
  let total = 0;
  try {
    zip = await openPromise(path, { autoClose: false });
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith("/")) continue;
      entries.push(entry);
      total += entry.uncompressedSize;
      if (entries.length > limits.entries) {
        throw tooMuch(label, `has more than ${plural(limits.entries, "file")}`);
      }
    }
  } catch (error) {
    zip?.close();
    throw error instanceof DataError ? error : damaged(label, error);
  }
  const room = Math.min(limits.bytes, Math.max(limits.harmless, limits.ratio * zip.fileSize));
  if (total > room) {
    zip.close();
    throw tooMuch(label, `would unpack from ${bytesText(zip.fileSize)} to ${bytesText(total)}`);
  }
  entries.sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
  return { zip, entries };
}

async function startsAsText(zip: ZipFile, entry: Entry, label: string): Promise<boolean> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const piece of piecesOf(zip, entry, label)) {
    parts.push(piece);
    length += piece.length;
    if (length >= HEAD) break;
  }
  return isText(Buffer.concat(parts), length === entry.uncompressedSize);
}

async function* piecesOf(zip: ZipFile, entry: Entry, label: string): AsyncGenerator<Uint8Array> {
  try {
    let crc = 0;
    for await (const piece of await zip.openReadStreamPromise(entry)) {
      crc = zlib.crc32?.(piece, crc); // Node 20 has none
      yield piece;
    }
    if (crc !== undefined && crc !== entry.crc32) throw new Error("its checksum is another one");
  } catch (error) {
    throw error instanceof DataError ? error : damaged(sourceOf(entry, label), error);
  }
}

function tooMuch(label: string, what: string): DataError {
  return new DataError(
    `${label} ${what}, which looks like a trap and is not done. If it is none, unpack it and give the folder.`,
  );
}

function damaged(label: string, error: unknown): DataError {
  const message = (error as Error).message.replace(/\.$/, "");
  const [, outside] = /^(?:invalid relative|absolute) path: (.*)$/s.exec(message) ?? [];
  if (outside !== undefined) {
    return new DataError(
      `${label} has the entry ${show(outside)}, which leads out of the archive, so that nothing of it is read. Make it ` +
        `again without that entry, or unpack it with care and give the folder.`,
    );
  }
  return new DataError(
    `${label} is damaged or no ZIP archive: ${printable(message)}. Make or fetch it again.`,
  );
}
