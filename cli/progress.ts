// Progress for people: one line that is written over on a terminal, a line now and then elsewhere.

import { count } from "../src/count.ts";
import type { StepEvent } from "../src/training/train.ts";
import type { Output } from "./run.ts";

export { count, plural } from "../src/count.ts";

const UPDATE_MS = 100;
/** Steps over which the average of the loss looks back: single documents make the loss jump. */
const AVERAGED = 100;
const ERASE_REST = "\x1b[K";

/** What was done before the first step that is seen. */
export interface Before {
  step: number;
  tokens: number;
}

export const NOTHING: Before = { step: 0, tokens: 0 };

export class Progress {
  private readonly out: Output;
  private readonly num_steps: number;
  private readonly log_every: number;
  private readonly before: Before;
  private readonly startedAt = performance.now();
  private last: StepEvent | undefined;
  private average = 0;
  private shown = 0;
  private shownAt = -Infinity;

  constructor(out: Output, num_steps: number, log_every: number, before = NOTHING) {
    this.out = out;
    this.num_steps = num_steps;
    this.log_every = log_every;
    this.before = before;
  }

  step(event: StepEvent): void {
    // The mean of all losses at first, then the exponential one.
    const steps = event.step - this.before.step;
    this.average += (event.loss - this.average) / Math.min(steps, AVERAGED);
    this.last = event;
    const due = this.out.isTTY
      ? performance.now() - this.shownAt >= UPDATE_MS
      : steps === 1 || event.step % this.log_every === 0;
    if (due) this.show();
  }

  /** Writes a line above the progress, after the last step's. */
  note(text: string): void {
    if (this.out.isTTY) {
      this.out.write(`\r${ERASE_REST}${text}\n`);
      this.show();
    } else {
      if (this.shown !== this.last!.step) this.show();
      this.out.write(`${text}\n`);
    }
  }

  /** Shows the last step and leaves the line. */
  end(): void {
    if (this.last !== undefined && this.shown !== this.last.step) this.show();
    if (this.shown > 0 && this.out.isTTY) this.out.write("\n");
    this.last = undefined;
    this.shown = 0;
  }

  private show(): void {
    const { step, loss, tokens } = this.last!;
    const { before } = this;
    this.shown = step;
    this.shownAt = performance.now();
    const seconds = (this.shownAt - this.startedAt) / 1000;
    const text = [
      `step ${String(step).padStart(String(this.num_steps).length)}/${this.num_steps}`,
      `loss ${loss.toFixed(4)}`,
      `avg ${this.average.toFixed(4)}`,
      `${count(Math.round((tokens - before.tokens) / seconds))} tokens/s`,
      `${duration((seconds / (step - before.step)) * (this.num_steps - step))} left`,
    ].join("  ");
    if (!this.out.isTTY) this.out.write(`${text}\n`);
    else this.out.write(`\r${text.slice(0, (this.out.columns || 80) - 1)}${ERASE_REST}`);
  }
}

/** Tells how many kernels' shapes are measured: on a terminal each time, elsewhere at the beginning. */
export function tuningProgress(out: Output): (done: number, total: number) => void {
  return (done, total) => {
    const text = `measuring which kernels are fastest here: ${done}/${total}`;
    if (out.isTTY) out.write(done < total ? `\r${text}${ERASE_REST}` : `\r${ERASE_REST}`);
    else if (done === 0)
      out.write(`measuring which kernels are fastest here, for ${total} shapes\n`);
  };
}

/** Seconds as 0.7 s, 37 s, 3:07 min or 2:03:07 h. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes}:${two(s % 60)} min`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)} h`;
}
