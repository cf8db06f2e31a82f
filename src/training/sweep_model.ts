// What a sweep tells of each of its models, and which of two is the better.

import type { Config } from "../config.ts";

/** A model whose run is over. */
export interface SweepModel {
  type: "model";
  /** Place among the sweep's configs. */
  index: number;
  config: Config;
  /** Steps done: fewer than num_steps if the sweep was interrupted or the run diverged. */
  steps: number;
  /** Of the last step; NaN if the run diverged. */
  final_loss: number;
  /** Mean of the last tenth of its steps. */
  mean_loss: number;
  /** Of the held-out part; null where there is none, NaN if the run diverged. */
  val_loss: number | null;
  /** The same loss in bits for each byte of the text that it is of. */
  bits_per_byte: number | null;
}

/** What models are compared by: the validation loss where there is one, else the mean loss. */
export function rank({ val_loss, mean_loss }: SweepModel): number {
  return val_loss ?? mean_loss;
}

/** Those that did all their steps come first, then the lower rank. */
export function better(a: SweepModel, b: SweepModel | undefined): boolean {
  if (!Number.isFinite(rank(a))) return false;
  if (b === undefined) return true;
  const [done, before] = [a, b].map(({ steps, config }) => steps === config.num_steps);
  if (done !== before) return done;
  // A signal may have kept one from being validated: its loss is of another part of the text.
  const validated = a.val_loss !== null;
  return validated === (b.val_loss !== null) ? rank(a) < rank(b) : validated;
}
