// What whoever begins a run should know about its text and settings, a sentence each.

import { isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import { lengthNotes } from "../generation/generate.ts";

/** Tokens of a text that holds no more to learn than itself. */
const FEW_TOKENS = 1000;
/** Parameters for each token with which a model has room for the whole text. */
const ROOMY = 20;

/**
 * @param about tokens that are trained on, those of the prompt that the run's texts begin with, and whether the trainer has
 * activations to make anew; num_params is null of a model that has learnt before
 */
export function startNotes(
  config: Config,
  {
    num_tokens,
    num_params,
    prompt = 0,
    recomputes = true,
  }: { num_tokens: number; num_params: number | null; prompt?: number; recomputes?: boolean },
): string[] {
  // Of a stream any window is as good as another.
  const notes = isStream(config.format) && prompt === 0 ? [] : lengthNotes(config, prompt);
  if (num_params !== null && (num_tokens < FEW_TOKENS || num_params > ROOMY * num_tokens)) {
    const number = (n: number) => n.toLocaleString("en-US");
    const better = num_tokens < FEW_TOKENS ? "longer text" : "longer text or a smaller model";
    notes.push(
      `The model has ${number(num_params)} parameters and the text ${number(num_tokens)} tokens to train on, so it ` +
        `can only be learnt by heart; a ${better} leaves something to make up.`,
    );
  }
  if (config.recompute && !recomputes) {
    notes.push(
      `recompute has nothing to save here: the CPU, and a GPU whose one workgroup has the whole model, keep all that they compute.`,
    );
  }
  return notes;
}
