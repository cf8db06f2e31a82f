// Ctrl-C and its like: the first asks the command to come to an end, the second ends the process.

import { constants } from "node:os";
import type { Io } from "./run.ts";

/**
 * What ends a process that has work to save: a terminal that is closed (Node undoes what nohup does, so it is the same
 * under it), a reader that leaves, a scheduler's limits. Those that a system does not know are left out.
 */
const signals = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGUSR2",
  "SIGXCPU",
  "SIGBREAK",
] as const;
/** SIGPIPE is made from an error of stdout, and so is everywhere. */
const numbers: Partial<Record<NodeJS.Signals, number>> = { ...constants.signals, SIGPIPE: 13 };

/**
 * A signal to the terminal's process group reaches this process directly and, under `npm run`, once
 * more from npm, which passes it on: what comes this soon after the first is the first again.
 */
const ECHO_MS = 500;

/** What is said where work is there whole, or not at all. */
export const ALL_OR_NOTHING = "Stopping; what was there is as it was. Ctrl-C again quits at once.";

export class Interrupt {
  private readonly controller = new AbortController();
  private readonly listeners: [NodeJS.Signals, () => void][];
  private readonly io: Io;
  private readonly told: string;
  private firstAt = 0;
  /** Exit code of a process that ends by the signal, 128 + its number; 0 if none came. */
  code = 0;

  private constructor(io: Io, told: string) {
    this.io = io;
    this.told = told;
    this.listeners = signals
      .filter((name) => name in numbers)
      .map((name) => [name, () => this.receive(name)]);
    for (const [name, listener] of this.listeners) io.on(name, listener);
  }

  /**
   * Runs work that a signal may bring to an end.
   * @param work returns the exit code; where it throws the signal's reason, that is the signal's own
   * @param told what is said to whoever sends one
   */
  static async during(
    io: Io,
    work: (interrupt: Interrupt) => Promise<number>,
    told = "Stopping after the steps in flight; Ctrl-C again quits at once.",
  ): Promise<number> {
    const interrupt = new Interrupt(io, told);
    try {
      return await work(interrupt);
    } catch (error) {
      if (interrupt.code !== 0 && error === interrupt.signal.reason) return interrupt.code;
      throw error;
    } finally {
      interrupt.close();
    }
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  private receive(name: NodeJS.Signals): void {
    const code = 128 + numbers[name]!;
    if (this.code !== 0) {
      if (performance.now() - this.firstAt > ECHO_MS) this.io.exit(code);
      return;
    }
    this.code = code;
    this.firstAt = performance.now();
    if (name !== "SIGPIPE") this.io.stderr.write(`\n${this.told}\n`);
    this.controller.abort();
  }

  /** Leaves the signals to whoever comes next. */
  private close(): void {
    for (const [name, listener] of this.listeners) this.io.off(name, listener);
  }
}
