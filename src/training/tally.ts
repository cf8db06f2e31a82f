// The losses of one run of a sweep: the last one, and the mean of the last tenth, which is the fairer of the
// two: the loss of a single document says more about the document than about the model.

/** Losses that are kept at most. */
const MOST = 1000;

/** Whether a number is one in float32: weights beyond, where the CPU in float64 still goes on, could not be saved. */
export function isFloat(x: number): boolean {
  return Number.isFinite(Math.fround(x));
}

export class Tally {
  /** Steps so far. */
  steps = 0;
  /** Of the last step; NaN before the first one. */
  loss = NaN;
  /** True once a loss was no float32, or a gradient norm in a step that was not skipped for it. */
  diverged = false;
  private readonly tail: Float64Array;

  constructor(num_steps: number) {
    this.tail = new Float64Array(Math.min(MOST, Math.ceil(num_steps / 10)));
  }

  /** The next step's record; nothing counts any more once the run has diverged. */
  add(loss: number, grad_norm: number, skipped = false): void {
    if (this.diverged) return;
    this.loss = loss;
    this.diverged = !isFloat(loss) || !(skipped || isFloat(grad_norm));
    this.tail[this.steps % this.tail.length] = loss;
    this.steps++;
  }

  /** Of the last tenth of the steps, 1,000 at most; NaN if the run diverged or has not begun. */
  get mean(): number {
    if (this.diverged) return NaN;
    const { length } = this.tail;
    const losses = this.tail.subarray(0, Math.min(this.steps, length));
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  }
}
