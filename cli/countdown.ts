// How far a list of checks is, and how long the rest will take: a line that is written over on a terminal, one now and
// then elsewhere.

import { count, plural } from "../src/count.ts";
import { duration } from "../src/duration.ts";
import type { Output } from "./run.ts";

/** Time between two lines where there is no terminal, in ms. */
const UPDATE_MS = 10_000;
const ERASE_LINE = "\r\x1b[K";

export class Countdown {
  private readonly out: Output;
  private readonly total: number;
  private readonly startedAt = performance.now();
  private shownAt = this.startedAt;
  private done = 0;

  constructor(out: Output, total: number) {
    this.out = out;
    this.total = total;
  }

  /** Another check is done; its row is what `write` writes, above the line. */
  next(write: () => void): void {
    this.done++;
    if (this.out.isTTY) this.out.write(ERASE_LINE);
    write();
    const { done, total, out } = this;
    if (done === total) return;
    const now = performance.now();
    const left = ((now - this.startedAt) / 1000 / done) * (total - done);
    const text = `${count(done)} of ${plural(total, "check")}, about ${duration(left)} left`;
    if (out.isTTY) {
      out.write(text.slice(0, (out.columns || 80) - 1));
    } else if (now - this.shownAt >= UPDATE_MS) {
      out.write(`${text}\n`);
      this.shownAt = now;
    }
  }

  /** Leaves no line behind, if not all were done. */
  end(): void {
    if (this.out.isTTY) this.out.write(ERASE_LINE);
  }
}
