// A file of the output folder that grows with a run, piece by piece: written now and then, and before each save. A disk
// that refuses it ends no run.

import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { reason } from "../src/files/reason.node.ts";

const WRITE_MS = 1000;
/** Bytes that wait for a disk that refuses them; with more, they are given up. */
const MOST = 2 ** 22;

export class Journal {
  readonly path: string;
  private readonly warn: (text: string) => void;
  /** What the file begins with. */
  private readonly head: Uint8Array;
  private pieces: Uint8Array[] = [];
  private waiting = 0;
  /** Bytes of the file that are whole pieces. */
  private size = 0;
  private writtenAt = performance.now();
  private refused = false;

  /** @param warn told once that the file cannot be written */
  constructor(path: string, warn: (text: string) => void, head = new Uint8Array(0)) {
    this.path = path;
    this.warn = warn;
    this.head = head;
  }

  /**
   * Goes on with a file that is there.
   * @param endOf finds how many of its bytes stay
   */
  goOn(endOf: (file: number) => number): void {
    this.attempt((file) => {
      this.size = fstatSync(file).size; // all of it, if the end cannot be found
      this.size = endOf(file);
      ftruncateSync(file, this.size);
    });
  }

  /** Takes a piece, which is written as a whole or not at all. */
  add(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.waiting += piece.length;
    if (performance.now() - this.writtenAt >= WRITE_MS) this.write();
  }

  /** Writes what is not yet written. */
  write(): void {
    this.writtenAt = performance.now();
    if (this.waiting === 0) return;
    this.attempt((file) => {
      this.size = Math.min(this.size, fstatSync(file).size); // a file that was removed begins anew
      const bytes = Buffer.concat(this.size === 0 ? [this.head, ...this.pieces] : this.pieces);
      for (let at = 0; at < bytes.length;) {
        at += writeSync(file, bytes, at, bytes.length - at, this.size + at);
      }
      this.size += bytes.length;
      this.forget();
    });
    if (this.waiting > MOST) this.forget();
  }

  private forget(): void {
    this.pieces = [];
    this.waiting = 0;
  }

  private attempt(action: (file: number) => void): void {
    try {
      const file = openSync(this.path, constants.O_RDWR | constants.O_CREAT, 0o666);
      try {
        action(file);
        this.refused = false;
      } catch (error) {
        ftruncateSync(file, this.size); // no part of a piece
        throw error;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (!this.refused) this.warn(`${this.path} cannot be written: ${reason(error)}.`);
      this.refused = true;
    }
  }
}
