// How many steps to submit at a time: few enough to be told of them often, enough that telling costs nothing.

/** A window grows while it takes less time than the first, and shrinks above the second, in ms. */
const WINDOW_MS = [15, 60];

/**
 * Some implementations take this long, in ms, to tell that a window is done, whatever it holds. Up to here, larger
 * windows are tried, and kept if their steps take less time.
 */
const LATENCY_MS = 250;

/** How much longer a step must have taken in windows of half the size, for a size above WINDOW_MS to be kept. */
const GAIN = 1.25;

export class Pace {
  /** Steps of the next window: a power of 2, or the largest. */
  windowSize = 1;
  private readonly largest: number;
  private end = 0; // when the last window was done
  /** The last two. */
  private windows: { steps: number; ms: number }[] = [];
  /** The least time that a step took, by the windows' size: a machine that is busy just then counts for nothing. */
  private readonly stepMs = new Map<number, number>();

  /** @param largest steps that a window may have */
  constructor(largest: number) {
    this.largest = largest;
  }

  /** Begins to count time; what passed since the last window was a pause. */
  start(): void {
    this.end = performance.now();
    this.windows = [];
  }

  /** A window of so many steps has been read. */
  done(steps: number): void {
    const now = performance.now();
    this.windows = [...this.windows.slice(-1), { steps, ms: now - this.end }];
    this.end = now;
    // Of two, for they may be told of together.
    const ms = this.windows.reduce((sum, window) => sum + window.ms, 0) / this.windows.length;
    if (ms < WINDOW_MS[0]) this.resize(this.windowSize * 2);
    else if (this.windows.every((window) => window.steps === this.windowSize)) this.judge(ms);
  }

  /** @param ms of a window of the present size, not of one that was submitted before the last change */
  private judge(ms: number): void {
    const size = this.windowSize;
    this.stepMs.set(size, Math.min(ms / size, this.stepMs.get(size) ?? Infinity));
    const larger = this.gain(size) ?? GAIN; // unless it is known, it is tried
    const present = this.gain(size / 2) ?? 1;
    if (ms < LATENCY_MS && larger >= GAIN) this.resize(size * 2);
    else if (ms > LATENCY_MS || (ms > WINDOW_MS[1] && present < GAIN)) this.resize(size >> 1);
  }

  /** How much longer a step takes in windows of a size than in those of twice the size. */
  private gain(size: number): number | undefined {
    const [ms, doubled] = [this.stepMs.get(size), this.stepMs.get(size * 2)];
    return ms === undefined || doubled === undefined ? undefined : ms / doubled;
  }

  private resize(size: number): void {
    this.windowSize = Math.max(1, Math.min(size, this.largest));
  }
}
