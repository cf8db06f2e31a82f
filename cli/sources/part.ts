// What one --input comes to: files of text, and what was left out of it.

import { plural } from "../../src/count.ts";
import { DataError } from "../../src/errors.ts";
import type { TextFile } from "../../src/text/read_corpus.ts";

export interface Part {
  /** In the order in which they are read; nothing of them is opened before. */
  files: readonly TextFile[];
  /** Where it comes from, for people. */
  label: string;
  /** Of all files; undefined where that is not known. */
  bytes?: number;
  /** What was left out, each with its number: "3 binary files". */
  skipped: readonly string[];
}

/** Counts what is left out, by kinds. */
export class Skipped {
  private readonly counts = new Map<string, number>();

  /** @param kind in the singular: "binary file" */
  add(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  get list(): string[] {
    return [...this.counts].map(([kind, count]) => plural(count, kind));
  }

  /** @param wanted what would do in its place: "a .zip with text files" */
  noText(label: string, wanted: string): DataError {
    const found = this.counts.size === 0 ? "it is empty" : `it has ${this.list.join(", ")}`;
    return new DataError(`${label} holds no text to train on: ${found}. Name ${wanted}.`);
  }
}
