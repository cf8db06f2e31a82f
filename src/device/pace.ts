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
/** Windows of a size before it is left for what is known of it, and after which all that is known is forgotten. */
const SAMPLES = 3;
const FORGET = 100;

export class Pace {
  /** Steps of the next window: a power of 2, or the largest. */
  windowSize = 1;
  private readonly largest: number;
  private end = 0; // when the last window was done
  /** The last two. */
  private windows: { steps: number; ms: number }[] = [];
  /** The least time that a step took, by the windows' size: a machine that is busy just then counts for nothing. */
  private readonly stepMs = new Map<number, number>();
  private judged = 0;
  private samples = 0; // of the present size

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
    if (++this.judged % FORGET === 0) this.stepMs.clear();
    this.stepMs.set(size, Math.min(ms / size, this.stepMs.get(size) ?? Infinity));
    if (++this.samples < SAMPLES) return;
    const [smaller, larger] = [this.gain(size / 2), this.gain(size)];
    const slow = ms > WINDOW_MS[1] && size > 1 && !pays(smaller);
    if (ms > LATENCY_MS) this.resize(size >> 1);
    else if (pays(larger)) this.resize(size * 2);
    else if (slow) this.resize(size >> 1);
    else if (larger === undefined) this.resize(size * 2);
  }

  /** How much longer a step takes in windows of a size than in those of twice the size. */
  private gain(size: number): number | undefined {
    const [ms, doubled] = [this.stepMs.get(size), this.stepMs.get(size * 2)];
    return ms === undefined || doubled === undefined ? undefined : ms / doubled;
  }

  private resize(size: number): void {
    this.windowSize = Math.max(1, Math.min(size, this.largest));
    this.samples = 0;
  }
}

function pays(gain: number | undefined): boolean {
  return gain !== undefined && gain >= GAIN;
}
