// What trains a model: the GPU engine and the CPU reference both do it behind this interface.

import type { TrainerState } from "../files/checkpoint.ts";
import type { Decoder } from "../generation/decoder.ts";
import type { Tuning } from "../tuning/tune.ts";

/** One optimizer step, as it was confirmed by a read of its loss. */
export interface StepRecord {
  /** From 1. */
  step: number;
  /** Mean over the batch's positions that count, before the update. */
  loss: number;
  lr: number;
  /** Norm of all gradients together, before clipping. */
  grad_norm: number;
  /**
   * There only with dtype f16, where gradients came out too large for a number: the parameters are as they were,
   * and the next steps make them with a smaller scale.
   */
  skipped?: true;
  /** Positions trained on since step 1, this step included. */
  tokens: number;
}

/** What it decodes is drawn by the parameters as they are when a text begins. */
export interface Trainer extends Pick<Decoder, "decode" | "destroy"> {
  /** How the kernels of its products were chosen; null where there was nothing to choose. */
  readonly tuning: Tuning | null;
  /** Steps that are done, and confirmed. */
  readonly step: number;
  /**
   * Trains until `until` steps are done and yields every one of them, in order. Not pulling pauses.
   * Once `signal` is aborted no further step is begun, and those in flight are still yielded; the CPU gives up the one
   * that it is at.
   * @throws GpuError if the device fails; no step after the failure is counted
   */
  run(until: number, signal?: AbortSignal): AsyncGenerator<StepRecord>;
  /**
   * Mean loss over all positions of the sequences, with the parameters as they are; trains nothing.
   * @throws the signal's reason soon after it is aborted
   */
  evaluate(sequences: readonly Int32Array[], signal?: AbortSignal): Promise<number>;
  /** The parameters as they are after `step` steps, flat in the order of `layout`; a copy. */
  parameters(): Promise<Pick<TrainerState, "step" | "layout" | "values">>;
  /** All that the next steps depend on, as it is after `step` steps; a copy. */
  state(): Promise<TrainerState>;
  /** Goes on from a state, rounded where it has more digits; before the first step. */
  restore(state: TrainerState): void;
}
