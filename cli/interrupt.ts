// Ctrl-C and its like: the first asks the command to come to an end, the second ends the process.

import type { Io } from "./run.ts";

/** Exit codes of a process that ends by a signal: 128 + its number. SIGHUP is left to nohup. */
const codes = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 } as const;

/**
 * A signal to the terminal's process group reaches this process directly and, under `npm run`, once
 * more from npm, which passes it on: what comes this soon after the first is the first again.
 */
const ECHO_MS = 500;

export class Interrupt {
  private readonly controller = new AbortController();
  private readonly listeners: [NodeJS.Signals, () => void][];
  private readonly io: Io;
  private firstAt = 0;
  /** Exit code that the signal asks for, 0 if none came. */
  code = 0;

  constructor(io: Io) {
    this.io = io;
    this.listeners = Object.entries(codes).map(([name, code]) => [
      name as NodeJS.Signals,
      () => this.receive(code),
    ]);
    for (const [name, listener] of this.listeners) io.on(name, listener);
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  private receive(code: number): void {
    if (this.code !== 0) {
      if (performance.now() - this.firstAt > ECHO_MS) this.io.exit(code);
      return;
    }
    this.code = code;
    this.firstAt = performance.now();
    if (code !== codes.SIGPIPE) {
      this.io.stderr.write("\nStopping after the steps in flight; Ctrl-C again quits at once.\n");
    }
    this.controller.abort();
  }

  /** Leaves the signals to whoever comes next. */
  close(): void {
    for (const [name, listener] of this.listeners) this.io.off(name, listener);
  }
}
