// The loss of every step so far, kept small: neighbours are merged into means once there are many. And what the
// validations between them found.

/** More points than this no screen can show apart. */
const MAX_POINTS = 1000;

interface Evaluation {
  step: number;
  loss: number;
  /** Bits per byte; null or absent where they are not known. */
  bits?: number | null;
}

/** A history as a plain object. */
export interface HistoryState {
  window: number;
  steps: number[];
  losses: number[];
  means: number[];
  evaluations: Evaluation[];
  stepsPerPoint: number;
  stepsInLast: number;
  count: number;
  decayed: number;
}

/** Whether `value` can be given to LossHistory.from(). */
export function isHistory(value: unknown): value is HistoryState {
  const { steps, losses, means, evaluations, ...numbers } = (value ?? {}) as Partial<HistoryState>;
  const isNumber = (x: unknown) => typeof x === "number";
  const { window, stepsPerPoint, stepsInLast, count, decayed } = numbers;
  return (
    [steps, losses, means].every(
      (list) => Array.isArray(list) && list.length === steps?.length && list.every(isNumber),
    ) &&
    Array.isArray(evaluations) &&
    evaluations.every((evaluation) => isNumber(evaluation?.step) && isNumber(evaluation.loss)) &&
    [window, stepsPerPoint, stepsInLast, count, decayed].every(isNumber)
  );
}

export class LossHistory {
  /** Last step of each point. */
  readonly steps: number[] = [];
  /** Mean loss over the steps of each point. */
  readonly losses: number[] = [];
  /** Running mean of the loss at each point. */
  readonly means: number[] = [];
  /** Running mean after the last step; NaN before the first. */
  mean = NaN;
  /** In the order of their steps. */
  private readonly evaluations: Evaluation[] = [];
  private stepsPerPoint = 1;
  private stepsInLast = Infinity;
  private count = 0;
  private decayed = 0;
  private readonly window: number;
  private readonly decay: number;

  /** @param window steps over which the running mean looks back */
  constructor(window: number) {
    this.window = window;
    this.decay = 1 - 1 / Math.max(1, window);
  }

  /** The history that state() was asked of. */
  static from(state: HistoryState): LossHistory {
    const history = new LossHistory(state.window);
    history.steps.push(...state.steps);
    history.losses.push(...state.losses);
    history.means.push(...state.means);
    history.mean = state.means.at(-1) ?? NaN;
    history.evaluations.push(...state.evaluations);
    const { stepsPerPoint, stepsInLast, count, decayed } = state;
    return Object.assign(history, { stepsPerPoint, stepsInLast, count, decayed });
  }

  state(): HistoryState {
    const { window, steps, losses, means, evaluations } = this;
    const { stepsPerPoint, stepsInLast, count, decayed } = this;
    const lists = { steps: [...steps], losses: [...losses], means: [...means] };
    const counts = { stepsPerPoint, stepsInLast, count, decayed };
    return { window, ...lists, evaluations: [...evaluations], ...counts };
  }

  push(step: number, loss: number): void {
    this.count++;
    this.decayed = this.decay * this.decayed + (1 - this.decay) * loss;
    // Adam's correction: the sum began at zero.
    this.mean = this.decayed / (1 - this.decay ** this.count);

    if (this.stepsInLast >= this.stepsPerPoint) {
      if (this.steps.length === MAX_POINTS) this.halve();
      this.steps.push(step);
      this.losses.push(loss);
      this.means.push(this.mean);
      this.stepsInLast = 1;
    } else {
      const last = this.steps.length - 1;
      this.stepsInLast++;
      this.steps[last] = step;
      this.losses[last] += (loss - this.losses[last]) / this.stepsInLast;
      this.means[last] = this.mean;
    }
  }

  /** Takes the validation loss after `step` steps, and its bits per byte. */
  validate(step: number, loss: number, bits: number | null = null): void {
    this.evaluations.push({ step, loss, bits });
  }

  /** The newest validation loss; NaN before the first. */
  get validation(): number {
    return this.evaluations.at(-1)?.loss ?? NaN;
  }

  /** Of the newest validation; null where they are not known. */
  get bitsPerByte(): number | null {
    return this.evaluations.at(-1)?.bits ?? null;
  }

  /** Validation loss at each point; null where there was none. */
  validations(): (number | null)[] {
    const losses = Array<number | null>(this.steps.length).fill(null);
    let point = 0;
    for (const { step, loss } of this.evaluations) {
      while (point < this.steps.length - 1 && this.steps[point] < step) point++;
      losses[point] = loss;
    }
    return losses;
  }

  /** Merges each point with its neighbour. */
  private halve(): void {
    for (let i = 0; i < MAX_POINTS / 2; i++) {
      this.steps[i] = this.steps[2 * i + 1];
      this.losses[i] = (this.losses[2 * i] + this.losses[2 * i + 1]) / 2;
      this.means[i] = this.means[2 * i + 1];
    }
    for (const points of [this.steps, this.losses, this.means]) points.length = MAX_POINTS / 2;
    this.stepsPerPoint *= 2;
  }
}
