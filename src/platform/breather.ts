// Long work on the CPU gives the event loop its turn: signals, messages and timers wait no longer than this, however
// many such works there are.

import { platform } from "#platform";

const LONGEST_MS = 30;

/** The rests of all works: between any two of them that go on, the event loop runs. */
let rests = Promise.resolve();

export class Breather {
  private since = performance.now();

  /** Whether the event loop has not run for a while. */
  get tired(): boolean {
    return performance.now() - this.since > LONGEST_MS;
  }

  /** Lets the event loop run; call it between pieces of work, where `tired`. */
  async rest(): Promise<void> {
    rests = rests.then(() => platform.turn());
    await rests;
    this.since = performance.now();
  }

  /**
   * Work that is done a part at a time, with rests in between, and one behind the last where it is time for it: work that
   * is a single part comes by the thousand.
   * @throws the signal's reason soon after it is aborted
   */
  async through<T>(work: Generator<void, T>, signal?: AbortSignal): Promise<T> {
    try {
      for (;;) {
        signal?.throwIfAborted();
        const { done, value } = work.next();
        if (this.tired) await this.rest();
        if (done) return value;
      }
    } finally {
      work.return(undefined as T); // what it has begun, it tidies up
    }
  }
}
