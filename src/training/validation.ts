// What a run is validated with, and what the validations found.

import type { Config } from "../config.ts";
import { plural } from "../count.ts";
import type { Best } from "../files/checkpoint.ts";
import { bitsPerByte, sizeOfTargets, type TargetSize } from "../text/bits_per_byte.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Watch } from "./diverged.ts";
import type { EvalEvent, StopEvent } from "./events.ts";
import { isFloat } from "./tally.ts";
import type { Trainer } from "./trainer.ts";

export class Validation {
  /** The one with the lowest loss so far. */
  best: Best | null;
  private readonly sequences: readonly Int32Array[];
  private readonly size: TargetSize;

  /**
   * @param sequences that are held out; none where nothing is
   * @param best of the run that goes on; null for a new one
   */
  constructor(sequences: readonly Int32Array[], tokenizer: Tokenizer, best: Best | null) {
    this.best = best;
    this.sequences = sequences;
    this.size = sizeOfTargets(sequences, tokenizer);
  }

  /** Whether there is something to validate with. */
  get possible(): boolean {
    return this.sequences.length > 0;
  }

  /**
   * Validates the model as it is after `step` steps; null if the signal came first.
   * @throws DivergedError if the loss is no number
   */
  async after(
    step: number,
    trainer: Trainer,
    watch: Watch,
    signal?: AbortSignal,
  ): Promise<EvalEvent | null> {
    let val_loss: number;
    try {
      val_loss = await trainer.evaluate(this.sequences, signal);
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return null;
      throw error;
    }
    if (!isFloat(val_loss))
      throw watch.diverged(`after step ${step} the validation loss is ${val_loss}`);
    const best = this.best === null || val_loss < this.best.val_loss;
    this.best = best
      ? { step, val_loss, later: 0 }
      : { ...this.best!, later: this.best!.later + 1 };
    return { type: "eval", step, val_loss, bits_per_byte: this.bitsPerByte(val_loss), best };
  }

  /** A validation's loss in bits for each byte of the text; null where what is held out has none. */
  bitsPerByte(val_loss: number): number | null {
    return bitsPerByte(val_loss, this.size);
  }

  /** What is told where a run should end after `step` steps, for want of better validations; null where it should not. */
  stopAfter(step: number, config: Pick<Config, "patience" | "num_steps">): StopEvent | null {
    const { best } = this;
    if (step === config.num_steps || !isOutOfPatience(config, best)) return null;
    const bits = this.bitsPerByte(best!.val_loss);
    const message =
      `${plural(best!.later, "validation")} since that after step ${best!.step} found no loss lower than its ` +
      `${best!.val_loss.toFixed(4)}${bits === null ? "" : `, ${bits.toFixed(4)} bits/byte`} (patience ${config.patience}).`;
    return { type: "stop", step, reason: "patience", message };
  }
}

/** Whether a run has waited for a better validation as long as it should. */
export function isOutOfPatience(
  { patience }: Pick<Config, "patience">,
  best: Best | null,
): boolean {
  return patience > 0 && best !== null && best.later >= patience;
}
