// Progress for people: one line that is written over on a terminal, a line now and then elsewhere.

import { count, plural } from "../src/count.ts";
import { duration } from "../src/duration.ts";
import type { PrepareEvent, StepEvent } from "../src/training/train.ts";
import type { Output } from "./run.ts";

const UPDATE_MS = 100;
/** Steps over which the average of the loss looks back: single documents make the loss jump. */
const AVERAGED = 100;
const ERASE_REST = "\x1b[K";
/** Compiling that takes longer is told where there is no terminal too. */
const LONG_MS = 2000;

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
  /** The first step that was seen, and when: what came before it is not training. */
  private first: { step: number; tokens: number; at: number } | undefined;
  private last: StepEvent | undefined;
  private average = 0;
  /** Whether the terminal's line will be written over. */
  private live = false;
  private shown = 0;
  private shownAt = -Infinity;

  constructor(out: Output, num_steps: number, log_every: number, before = NOTHING) {
    this.out = out;
    this.num_steps = num_steps;
    this.log_every = log_every;
    this.before = before;
  }

  step(event: StepEvent): void {
    this.first ??= { step: event.step, tokens: event.tokens, at: performance.now() };
    // The mean of all losses at first, then the exponential one.
    const steps = event.step - this.before.step;
    this.average += (event.loss - this.average) / Math.min(steps, AVERAGED);
    this.last = event;
    const due = event.step % this.log_every === 0;
    if (this.out.isTTY) {
      if (due || performance.now() - this.shownAt >= UPDATE_MS) this.show(due);
    } else if (due || steps === 1) this.show();
  }

  /** Writes a line of its own, below that of the last step. */
  note(text: string): void {
    if (this.last !== undefined) {
      if (this.shown !== this.last.step) this.show(true);
      else if (this.live) this.out.write("\n");
      this.live = false;
    }
    this.out.write(`${text}\n`);
  }

  /** Shows the last step and leaves the line. */
  end(): void {
    if (this.last !== undefined && this.shown !== this.last.step) this.show();
    if (this.live) this.out.write("\n");
    this.last = undefined;
    this.live = false;
    this.shown = 0;
  }

  /** @param stays whether a terminal keeps the line, and goes on below it */
  private show(stays = false): void {
    const { step, loss, tokens } = this.last!;
    const first = this.first!;
    this.shown = step;
    this.shownAt = performance.now();
    const seconds = (this.shownAt - first.at) / 1000;
    const parts: Record<string, string> = {
      step: `step ${String(step).padStart(String(this.num_steps).length)}/${this.num_steps}`,
      loss: `loss ${loss.toFixed(4)}`,
      average: `avg ${this.average.toFixed(4)}`,
    };
    if (step > first.step && seconds > 0) {
      parts.speed = `${count(Math.round((tokens - first.tokens) / seconds))} tokens/s`;
      const left = (seconds / (step - first.step)) * (this.num_steps - step);
      parts.left = `${duration(left)} left`;
    }
    if (!this.out.isTTY) {
      this.out.write(`${Object.values(parts).join("  ")}\n`);
      return;
    }
    const columns = (this.out.columns || 80) - 1;
    for (const name of ["average", "speed", "loss"]) {
      if (Object.values(parts).join("  ").length > columns) delete parts[name];
    }
    const text = Object.values(parts).join("  ").slice(0, columns);
    this.out.write(`\r${text}${ERASE_REST}${stays ? "\n" : ""}`);
    this.live = !stays;
  }
}

/** What is done before the first step, in words. */
const preparations: Record<PrepareEvent["what"], { verb: string; thing: string; why?: string }> = {
  compile: { verb: "compiling", thing: "kernel" },
  measure: { verb: "measuring", thing: "shape", why: ", for the kernels that are fastest here" },
  count: { verb: "counting the words of", thing: "character" },
  learn: { verb: "learning", thing: "token" },
  tokenize: { verb: "tokenizing", thing: "character" },
  shuffle: { verb: "shuffling", thing: "document" },
  fingerprint: {
    verb: "taking the fingerprint of",
    thing: "token",
    why: ", for --resume",
  },
};

/** Tells what comes before the first step: on a terminal how far it is, elsewhere once, where it takes long. */
export function prepareProgress(out: Output): (event: PrepareEvent) => void {
  let told: NodeJS.Timeout | undefined;
  return ({ what, done, total }) => {
    if (done === total) clearTimeout(told);
    const { verb, thing, why: purpose = "" } = preparations[what];
    if (out.isTTY) {
      const text = `${verb} ${count(done + 1)} of ${count(total)}${purpose}`.slice(
        0,
        (out.columns || 80) - 1,
      );
      out.write(done < total ? `\r${text}${ERASE_REST}` : `\r${ERASE_REST}`);
    } else if (done === 0) {
      const things = plural(total, thing);
      const tell = () => out.write(`${verb} ${things}${purpose}\n`);
      if (what === "measure") tell();
      else told = setTimeout(tell, LONG_MS).unref();
    }
  };
}
