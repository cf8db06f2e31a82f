// How many steps to submit at a time: few enough to be told of them often, enough that telling costs nothing.

/** A window grows while it takes less time than the first, and shrinks above the second, in ms. */
const WINDOW_MS = [15, 60];

export class Pace {
  /** Steps of the next window. */
  windowSize = 1;
  private readonly largest: number;
  private end = 0; // when the last window was done

  /** @param largest steps that a window may have */
  constructor(largest: number) {
    this.largest = largest;
  }

  /** Begins to count time; what passed since the last window was a pause. */
  start(): void {
    this.end = performance.now();
  }

  /** A window has been read. */
  done(): void {
    const now = performance.now();
    const took = now - this.end;
    if (took < WINDOW_MS[0]) this.windowSize = Math.min(this.windowSize * 2, this.largest);
    else if (took > WINDOW_MS[1]) this.windowSize = Math.max(this.windowSize >> 1, 1);
    this.end = now;
  }
}
