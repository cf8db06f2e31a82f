// Long work on the CPU gives the event loop its turn: signals, messages and timers wait no longer than this.

const LONGEST_MS = 30;

export class Breather {
  private since = performance.now();

  /** Lets the event loop run if it has not for a while; call it between pieces of work. */
  async rest(): Promise<void> {
    if (performance.now() - this.since <= LONGEST_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.since = performance.now();
  }
}
