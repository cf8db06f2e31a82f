// How many steps to submit at a time, and how long to sleep before asking for what they brought.

/** A window grows while it takes less time than the first, and shrinks above the second, in ms. */
const WINDOW_MS = [15, 60];

export class Pace {
  /** Steps of the next window. */
  windowSize = 1;
  private readonly largest: number;
  private stepMs = 0; // time of a step, as far as it is known
  private end = 0; // when the last window was done
  private woke = 0; // when the last sleep ended
  private windows = 0;

  /** @param largest steps that a window may have */
  constructor(largest: number) {
    this.largest = largest;
  }

  /** Begins to count time; what passed since the last window was a pause. */
  start(): void {
    this.end = performance.now();
  }

  /**
   * Sleeps through most of the time that a window still needs. Dawn waits for the GPU by spinning,
   * which would cost a core, and on a software GPU one of those that do the work.
   */
  async sleep(steps: number): Promise<void> {
    const left = this.end + 0.9 * steps * this.stepMs - performance.now();
    if (left > 1) await new Promise((resolve) => setTimeout(resolve, left));
    this.woke = performance.now();
  }

  /** A window of `steps` has been read. */
  done(steps: number): void {
    const now = performance.now();
    const took = now - this.end;
    const overslept = now - this.woke < 0.02 * took;
    // Overslept, all that is known is that a step takes less. The first window compiles the kernels.
    if (overslept) this.stepMs /= 2;
    else if (this.windows > 0) this.stepMs = took / steps;
    if (took < WINDOW_MS[0]) this.windowSize = Math.min(this.windowSize * 2, this.largest);
    else if (took > WINDOW_MS[1]) this.windowSize = Math.max(this.windowSize >> 1, 1);
    this.end = now;
    this.windows++;
  }
}
