// A file on disk, of which a range at a time is read.

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { ModelFileError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { reason } from "./reason.node.ts";

/** Bytes that a call of node:fs takes; beyond 2 GiB it refuses. */
const PIECE = 2 ** 30;

/** An open file, to be closed. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly file: number;

  private constructor(name: string, file: number) {
    this.name = name;
    this.file = file;
    this.size = fstatSync(file).size;
  }

  /**
   * @returns undefined if there is no such file
   * @throws ModelFileError if it cannot be read
   */
  static open(path: string): FileSource | undefined {
    try {
      // A pipe would be waited for as soon as it is opened.
      const found = statSync(path, { throwIfNoEntry: false });
      if (found === undefined) return undefined;
      if (found.isFile()) return refusePointer(new FileSource(path, openSync(path, "r")));
    } catch (error) {
      if (error instanceof ModelFileError) throw error;
      throw new ModelFileError(`${path} cannot be read: ${reason(error)}.`);
    }
    throw new ModelFileError(`${path} cannot be read: it is no file.`);
  }

  /** @throws ModelFileError if the file is shorter by now, or cannot be read */
  read(begin: number, end: number): Uint8Array {
    const bytes = new Uint8Array(end - begin);
    let at = 0;
    try {
      for (let read = -1; read !== 0 && at < bytes.length; at += read) {
        read = readSync(this.file, bytes, at, Math.min(PIECE, bytes.length - at), begin + at);
      }
    } catch (error) {
      throw new ModelFileError(`${this.name} cannot be read: ${reason(error)}.`);
    }
    if (at === bytes.length) return bytes;
    throw new ModelFileError(`${this.name} ends at byte ${begin + at}, before it should.`);
  }

  close(): void {
    closeSync(this.file);
  }
}

/** What stands in a repository in the place of a large file. */
const POINTER = "version https://git-lfs.github.com/";

/** @throws ModelFileError if it is what Git leaves there without its extension for large files */
function refusePointer(source: FileSource): FileSource {
  const start = source.read(0, Math.min(POINTER.length, source.size));
  if (new TextDecoder("latin1").decode(start) !== POINTER) return source;
  source.close();
  throw new ModelFileError(
    `${source.name} is not the file itself but what Git has in its place. Get it: git lfs pull, in its folder.`,
  );
}
