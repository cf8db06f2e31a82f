// A run that cannot go on: it is noticed at the first number that is none, and told with its likely cause and with
// what helps against that.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import { settings } from "../config/settings.ts";
import { plural } from "../count.ts";
import { DivergedError } from "../errors.ts";
import { isFloat } from "./tally.ts";
import type { StepRecord } from "./trainer.ts";

/** Steps whose losses make the recent mean: those of single documents jump. */
const RECENT = 8;
/** Times the lowest mean so far, from which on the loss has risen. */
const RISEN = 1.1;

/** Looks at every step of a run. */
export class Watch {
  private readonly config: Config;
  /** Steps that were seen. */
  private steps = 0;
  private mean = 0;
  private lowest = Infinity;

  constructor(config: Config) {
    this.config = config;
  }

  /** @throws DivergedError if the step's loss is no number in float32, or its gradient norm where that is not foreseen */
  check({ step, loss, lr, grad_norm, skipped }: StepRecord): void {
    const rate = `at a learning rate of ${lr}`;
    if (!isFloat(loss)) {
      throw this.diverged(`at step ${step} the loss is ${loss}, ${rate}`, step === 1);
    }
    if (!skipped && !isFloat(grad_norm)) {
      const norm = `at step ${step} the gradient norm is ${grad_norm}, where the loss is ${loss}, ${rate}`;
      throw this.diverged(norm, step === 1);
    }
    this.steps++;
    this.mean += (loss - this.mean) / Math.min(this.steps, RECENT);
    if (this.steps >= RECENT) this.lowest = Math.min(this.lowest, this.mean);
  }

  /** @param untrained whether no step was done before */
  diverged(where: string, untrained = false): DivergedError {
    return new DivergedError(
      `Training diverged: ${where}. What was saved before is as it was. ${this.cause(untrained)}`,
    );
  }

  /** The likely cause, and what to do about it. */
  private cause(untrained: boolean): string {
    const { config, steps, mean, lowest } = this;
    const { dtype, init_std, grad_clip, warmup_steps } = config;
    if (isHalf(dtype)) {
      return (
        `The likely cause is an overflow: f16 holds no number above 65,504. Set ${flag("dtype")} to f32, lower ` +
        `${this.rates()}, or ${flag("init_std")} from ${init_std}.`
      );
    }
    if (untrained) {
      return `No step was done before, so the likely cause is the initial weights: lower ${flag("init_std")} from ${init_std}.`;
    }
    const lower = `lower ${this.rates()}`;
    const clip = grad_clip > 0 ? "" : `, or set ${flag("grad_clip")}, such as 1`;
    if (steps < RECENT) {
      const rise = warmup_steps > 0 ? "" : `, or let it rise over some ${flag("warmup_steps")}`;
      return `After so few steps the likely cause is too high a learning rate: ${lower}${rise}${clip}.`;
    }
    if (mean > RISEN * lowest) {
      return (
        `The loss had risen from ${lowest.toPrecision(3)} to ${mean.toPrecision(3)}, so the likely cause is too high a ` +
        `learning rate: ${lower}${clip}.`
      );
    }
    const outlier = `The loss was ${mean.toPrecision(3)} over the ${plural(RECENT, "step")} before and had not risen, so the likely cause is a step of outlying data`;
    return grad_clip > 0
      ? `${outlier}: lower ${flag("grad_clip")} from ${grad_clip}, or ${this.rates()}.`
      : `${outlier}: set ${flag("grad_clip")}, such as 1, or ${lower}.`;
  }

  /** The learning rates that the optimizer has, and lower ones. */
  private rates(): string {
    const { config } = this;
    return ratesOf[config.optimizer]
      .map((name) => `${flag(name)} to ${Number((config[name] / 10).toPrecision(2))}`)
      .join(" and ");
  }
}

const ratesOf: Record<Config["optimizer"], ("learning_rate" | "muon_lr")[]> = {
  adamw: ["learning_rate"],
  sgd: ["learning_rate"],
  muon: ["muon_lr", "learning_rate"],
};

/** A setting by its name, and by its flag where that is another. */
function flag(name: keyof Config): string {
  const { flag } = settings.find((setting) => setting.name === name)!;
  return `${name} (--${flag})`;
}
