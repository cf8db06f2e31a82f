// metrics.jsonl in the output folder: every step and every validation of a run, a JSON object a line.
//
// Written now and then, and before each save: what a killed run has not written comes after the step that it goes on
// from, and is made again. A disk that refuses it ends no run.

import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../src/files/checkpoint.ts";
import type { EvalEvent, StepEvent } from "../src/training/train.ts";
import { reason } from "../src/files/reason.node.ts";

export const METRICS_FILE = "metrics.jsonl";

const WRITE_MS = 1000;
/** Characters that wait for a disk that refuses them; with more, they are given up. */
const MOST = 2 ** 22;
/** Bytes that are read at a time, from the end. */
const PIECE = 2 ** 16;

export class Metrics {
  private readonly path: string;
  private readonly warn: (text: string) => void;
  private text = "";
  /** Bytes of the file that are whole lines. */
  private size = 0;
  private writtenAt = performance.now();
  private refused = false;

  /**
   * @param before the run that goes on; of its lines, those after its step go
   * @param warn told once that the file cannot be written
   */
  constructor(
    folder: string,
    before: Pick<Checkpoint, "step" | "validated"> | undefined,
    warn: (text: string) => void,
  ) {
    this.path = join(folder, METRICS_FILE);
    this.warn = warn;
    if (before) {
      this.attempt((file) => {
        this.size = fstatSync(file).size; // all of it, if the end cannot be found
        this.size = endOf(file, before);
        ftruncateSync(file, this.size);
      });
    }
  }

  add(event: StepEvent | EvalEvent): void {
    this.text += `${JSON.stringify(event)}\n`;
    if (performance.now() - this.writtenAt >= WRITE_MS) this.write();
  }

  /** Writes what is not yet written. */
  write(): void {
    this.writtenAt = performance.now();
    if (this.text === "") return;
    const bytes = Buffer.from(this.text);
    this.attempt((file) => {
      this.size = Math.min(this.size, fstatSync(file).size); // a file that was removed begins anew
      for (let at = 0; at < bytes.length;) {
        at += writeSync(file, bytes, at, bytes.length - at, this.size + at);
      }
      this.size += bytes.length;
      this.text = "";
    });
    if (this.text.length > MOST) this.text = "";
  }

  private attempt(action: (file: number) => void): void {
    try {
      const file = openSync(this.path, constants.O_RDWR | constants.O_CREAT, 0o666);
      try {
        action(file);
        this.refused = false;
      } catch (error) {
        ftruncateSync(file, this.size); // no part of a line
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

/** Where in a file the lines up to the step of a run end. */
function endOf(file: number, before: Pick<Checkpoint, "step" | "validated">): number {
  const { size } = fstatSync(file);
  for (let length = Math.min(PIECE, size); ; length = Math.min(2 * length, size)) {
    const bytes = Buffer.alloc(length);
    readSync(file, bytes, 0, length, size - length);
    let end = bytes.lastIndexOf(10) + 1; // what comes after the last newline is no whole line
    while (end > 0) {
      const start = end < 2 ? 0 : bytes.lastIndexOf(10, end - 2) + 1;
      if (start === 0 && length < size) break; // a line that began before what was read
      if (isBefore(bytes.toString("utf8", start, end), before)) return size - length + end;
      end = start;
    }
    if (length === size) return 0;
  }
}

/** Whether a line is of what was done before a run goes on; a damaged one is not. */
function isBefore(line: string, { step, validated }: Pick<Checkpoint, "step" | "validated">) {
  try {
    const event = JSON.parse(line);
    return event.step < step || (event.step === step && (event.type === "step" || validated));
  } catch {
    return false;
  }
}
