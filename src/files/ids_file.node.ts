// Ids of a text in a file: as wide as they need to be, in the machine's own order of bytes, read by their places.

import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { DataError } from "../errors.ts";
import type { Ids } from "../ids.ts";
import { StoredIds } from "../text/stored_ids.ts";
import { reason } from "./reason.node.ts";

/** Bytes of a number. */
export type Width = 1 | 2 | 4;

const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };

/** Ids that are read at a time, where one part after the other is asked for. */
const BLOCK = 2 ** 15;

/** A file that is open, for all that read from it. */
interface Open {
  fd: number;
  path: string;
  width: Width;
}

export class IdsFile extends StoredIds {
  readonly length: number;
  private readonly file: Open;
  /** Of the first. */
  private readonly offset: number;
  private readonly numbers: Uint32Array | null;
  private block: { from: number; ids: Ids } | null = null;
  /** Where what was asked for last ended. */
  private end = 0;

  constructor(file: Open, length: number, offset = 0, numbers: Uint32Array | null = null) {
    super();
    this.file = file;
    this.length = length;
    this.offset = offset;
    this.numbers = numbers;
  }

  /** Opens a file that IdsFileWriter made. @throws what the file system throws */
  static open(path: string, width: Width, length: number): IdsFile {
    return new IdsFile({ fd: openSync(path, "r"), path, width }, length);
  }

  read(from: number, to: number): Ids {
    const { block, end } = this;
    this.end = to;
    if (block === null || from < block.from || to > block.from + block.ids.length) {
      if (from !== end || to - from > BLOCK) return this.load(from, to);
      this.block = { from, ids: this.load(from, Math.min(this.length, from + BLOCK)) };
    }
    const { from: first, ids } = this.block!;
    return ids.subarray(from - first, to - first);
  }

  subarray(from: number, to = this.length): IdsFile {
    const { file, offset, numbers } = this;
    return new IdsFile(file, Math.max(0, to - from), offset + from, numbers);
  }

  renumbered(numbers: Uint32Array): IdsFile {
    return new IdsFile(this.file, this.length, this.offset, numbers);
  }

  private load(from: number, to: number): Ids {
    const { file, offset, numbers } = this;
    const ids = readNumbers(file, offset + from, to - from);
    if (numbers !== null) for (let i = 0; i < ids.length; i++) ids[i] = numbers[ids[i]];
    return ids;
  }
}

/** @throws DataError if the disk does not give them */
function readNumbers({ fd, path, width }: Open, at: number, count: number): Ids {
  const ids = new kinds[width](count);
  const bytes = new Uint8Array(ids.buffer);
  try {
    for (let done = 0; done < bytes.length;) {
      const got = readSync(fd, bytes, done, bytes.length - done, at * width + done);
      if (got === 0) throw new Error("it is shorter than it was");
      done += got;
    }
  } catch (error) {
    throw new DataError(
      `The text's copy in ${path} cannot be read any more: ${reason(error)}. Remove that file, and begin again.`,
    );
  }
  return ids;
}

export class IdsFileWriter {
  private readonly path: string;
  private fd: number;
  private hidden = false;
  width: Width;
  length = 0;

  /**
   * @param path of a file that is not there yet
   * @throws DataError if it cannot be made
   */
  constructor(path: string, width: Width) {
    this.path = path;
    this.width = width;
    this.fd = this.attempt(() => openSync(path, "wx+"));
  }

  /** @throws DataError if there is no room for them */
  append(ids: Ids): void {
    const width = ids.BYTES_PER_ELEMENT as Width;
    if (width > this.width) this.widen(width);
    const Kind = kinds[this.width];
    this.write(this.fd, width === this.width ? ids : new Kind(ids));
    this.length += ids.length;
  }

  end(): IdsFile {
    const { fd, path, width, length } = this;
    this.attempt(() => fsyncSync(fd));
    return new IdsFile({ fd, path, width }, length);
  }

  /** Takes the file out of its folder: it is there for as long as it is read, whatever becomes of the process. */
  hide(): void {
    this.hidden = true;
    try {
      rmSync(this.path, { force: true });
    } catch {} // where files that are open stay
  }

  /** Gives up: what was written is removed. */
  discard(): void {
    closeSync(this.fd);
    rmSync(this.path, { force: true });
  }

  private widen(width: Width): void {
    const wide = `${this.path}.wide`;
    const fd = this.attempt(() => openSync(wide, "wx+"));
    const narrow = new IdsFile({ fd: this.fd, path: this.path, width: this.width }, this.length);
    for (let from = 0; from < this.length; from += BLOCK) {
      const to = Math.min(this.length, from + BLOCK);
      this.write(fd, new kinds[width](narrow.read(from, to)));
    }
    closeSync(this.fd);
    this.attempt(() => renameSync(wide, this.path));
    if (this.hidden) this.hide();
    this.fd = fd;
    this.width = width;
  }

  private write(fd: number, ids: Ids): void {
    const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
    this.attempt(() => {
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    });
  }

  private attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw new DataError(
        `The text is too large for memory, and its copy cannot be written to ${this.path}: ${reason(error)}. Make room ` +
          `there, or name another place by MICROGPT_CACHE_DIR.`,
      );
    }
  }
}
