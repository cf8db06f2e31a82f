// A run that cannot go on, in words: the number that is none, and what helps against it.

import type { Config } from "../config.ts";
import { DivergedError } from "../errors.ts";
import { isFloat } from "./tally.ts";
import type { StepRecord } from "./trainer.ts";

/** Names the number that is none, and what helps against it. */
export function divergedAt(
  { step, loss, lr, grad_norm }: StepRecord,
  { dtype }: Config,
): DivergedError {
  const rate = `at a learning rate of ${lr}`;
  if (!isFloat(loss)) return diverged(`at step ${step} the loss is ${loss}, ${rate}`);
  const norm = `at step ${step} the gradient norm is ${grad_norm}, where the loss is ${loss}, ${rate}`;
  return dtype === "f16"
    ? diverged(
        `${norm}; in f16 its gradients overflow at every scale`,
        "Train with dtype f32, lower the learning rate or choose a smaller init_std.",
      )
    : diverged(norm);
}

export function diverged(
  where: string,
  advice = "Lower the learning rate or set a grad_clip, such as 1.",
): DivergedError {
  return new DivergedError(
    `Training diverged: ${where}. What was saved before is as it was. ${advice}`,
  );
}
