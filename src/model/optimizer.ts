// What changes from step to step: the learning rate and Adam's bias corrections.

import type { Config } from "../config.ts";

/** The factor on the learning rate after a part of the steps. */
const schedules: Record<Config["lr_schedule"], (done: number) => number> = {
  linear: (done) => 1 - done,
  cosine: (done) => 0.5 * (1 + Math.cos(Math.PI * done)),
  constant: () => 1,
};

/** Learning rate of `step` (from 0): falls from learning_rate to 0 over num_steps, or stays. */
export function learningRate(
  { learning_rate, lr_schedule, num_steps }: Config,
  step: number,
): number {
  return learning_rate * schedules[lr_schedule](step / num_steps);
}

/** Adam's bias corrections 1 / (1 - beta^t) of `step` (from 0), t = step + 1. */
export function biasCorrections(
  { beta1, beta2 }: Config,
  step: number,
): { correction1: number; correction2: number } {
  return { correction1: 1 / (1 - beta1 ** (step + 1)), correction2: 1 / (1 - beta2 ** (step + 1)) };
}
