// Unpacks the archives inside the npm package @sparticuz/chromium: Chromium, its libraries, SwiftShader.
//
// The package's own API unpacks to /tmp, shared by every user and version, and leaves out the
// libraries unless it believes it runs in AWS Lambda; so its archives are read directly here.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** Lasts between runs, and goes when node_modules goes. */
export const cache = join(root, "node_modules/.cache/microgpt");

const archives = join(root, "node_modules/@sparticuz/chromium/bin");

/** The package's binaries are for Linux x64 only. */
export const canUnpack = () =>
  process.platform === "linux" && process.arch === "x64" && existsSync(archives);

/** Unpacks archives (`name.br` is one executable file, `name.tar.br` a folder) into a cached folder, once; gives its path. */
export function unpack(folder: string, names: string[]): string {
  const target = join(cache, folder);
  if (existsSync(target)) return target;
  // Written beside and renamed at the end: an interrupted run leaves no half-filled folder behind.
  const draft = `${target}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  for (const name of names) {
    const bytes = brotliDecompressSync(readFileSync(join(archives, name)));
    const files = name.endsWith(".tar.br") ? readTar(bytes) : [{ path: name.slice(0, -3), bytes }];
    for (const file of files) {
      const path = join(draft, file.path);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, file.bytes, { mode: 0o755 });
    }
  }
  try {
    renameSync(draft, target);
  } catch (error) {
    // Another process was first: its folder holds the same files.
    rmSync(draft, { recursive: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

/** The regular files of a plain ustar archive: blocks of 512 bytes, a header before each file. */
function readTar(tar: Buffer): { path: string; bytes: Buffer }[] {
  const files = [];
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const field = (offset: number, length: number) =>
      tar.toString("latin1", at + offset, at + offset + length).replace(/\0.*$/s, "");
    const size = parseInt(field(124, 12), 8);
    const isFile = field(156, 1) === "0" || field(156, 1) === "";
    if (isFile) files.push({ path: field(0, 100), bytes: tar.subarray(at + 512, at + 512 + size) });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
