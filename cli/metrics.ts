// metrics.jsonl in the output folder: every step and every validation of a run, a JSON object a line.
//
// What a killed run has not written comes after the step that it goes on from, and is made again.

import { fstatSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../src/files/checkpoint.ts";
import type { EvalEvent, StepEvent } from "../src/training/train.ts";
import { Journal } from "./journal.ts";

export const METRICS_FILE = "metrics.jsonl";

/** Bytes that are read at a time, from the end. */
const PIECE = 2 ** 16;

export class Metrics {
  private readonly journal: Journal;

  /**
   * @param before the run that goes on; of its lines, those after its step go
   * @param warn told once that the file cannot be written
   */
  constructor(
    folder: string,
    before: Pick<Checkpoint, "step" | "validated"> | undefined,
    warn: (text: string) => void,
  ) {
    this.journal = new Journal(join(folder, METRICS_FILE), warn);
    if (before) this.journal.goOn((file) => endOf(file, before));
  }

  add(event: StepEvent | EvalEvent): void {
    this.journal.add(Buffer.from(`${JSON.stringify(event)}\n`));
  }

  /** Writes what is not yet written. */
  write(): void {
    this.journal.write();
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
