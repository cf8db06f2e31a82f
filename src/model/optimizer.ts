// What changes from step to step: learning rates and Adam's bias corrections.

import type { Config } from "../config.ts";

type Schedule = Pick<
  Config,
  "lr_schedule" | "num_steps" | "warmup_steps" | "final_lr_fraction" | "decay_fraction"
>;

/** What is left of the way from the final rate to the peak, after a part of the steps behind the warm-up. */
const schedules: Record<Config["lr_schedule"], (done: number, left: number) => number> = {
  linear: (done) => 1 - done,
  cosine: (done) => 0.5 * (1 + Math.cos(Math.PI * done)),
  constant: () => 1,
  wsd: (_, left) => Math.min(1, left),
};

/**
 * The factor on every learning rate in `step` (from 0): it rises to 1 over warmup_steps, and then falls to
 * final_lr_fraction over the rest of num_steps, with `wsd` over the last decay_fraction of all steps, or stays.
 */
export function scheduleFactor(config: Schedule, step: number): number {
  const { lr_schedule, num_steps, warmup_steps, final_lr_fraction, decay_fraction } = config;
  if (step < warmup_steps) return (step + 1) / warmup_steps;
  const done = (step - warmup_steps) / (num_steps - warmup_steps);
  const left = (num_steps - step) / (num_steps * decay_fraction);
  const part = schedules[lr_schedule](done, left);
  return final_lr_fraction * (1 - part) + part;
}

/** Learning rate of `step` (from 0). */
export function learningRate(
  config: Schedule & Pick<Config, "learning_rate">,
  step: number,
): number {
  return config.learning_rate * scheduleFactor(config, step);
}

/** Adam's bias corrections 1 / (1 - beta^t) of `step` (from 0), t = step + 1. */
export function biasCorrections(
  { beta1, beta2 }: Config,
  step: number,
): { correction1: number; correction2: number } {
  return { correction1: 1 / (1 - beta1 ** (step + 1)), correction2: 1 / (1 - beta2 ** (step + 1)) };
}
