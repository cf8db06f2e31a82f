// Texts that a model writes, for people: on a terminal as they are written, elsewhere a whole one at a time.

import type { PieceEvent, SampleEvent } from "../src/generation/generate.ts";
import type { Output } from "./run.ts";

export class SamplePrinter {
  private readonly out: Output;
  /** The sample whose line has been begun. */
  private begun = 0;

  constructor(out: Output) {
    this.out = out;
  }

  print({ type, index, text }: PieceEvent | SampleEvent): void {
    const head = `sample ${String(index).padStart(2)}: `;
    if (!this.out.isTTY) {
      if (type === "sample") this.out.write(`${head}${text}\n`);
      return;
    }
    if (this.begun !== index) this.out.write(head);
    this.begun = index;
    if (type === "piece") this.out.write(printable(text));
    else this.end();
  }

  /** No further piece comes: what was begun is left as it is. */
  end(): void {
    if (this.begun > 0) this.out.write("\n");
    this.begun = 0;
  }
}

/** A text whose control characters a terminal shows instead of obeying them. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (char) => {
    const code = char.codePointAt(0)!.toString(16).padStart(2, "0");
    return `\\x${code}`;
  });
}
