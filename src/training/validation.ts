// What a run is validated with, and what the validations found.

import { bitsPerByte, sizeOfTargets } from "../text/bits_per_byte.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { diverged } from "./diverged.ts";
import type { EvalEvent } from "./events.ts";
import { isFloat } from "./tally.ts";
import type { Trainer } from "./trainer.ts";

export class Validation {
  private readonly sequences: readonly Int32Array[];
  private readonly size: ReturnType<typeof sizeOfTargets>;

  /** @param sequences that are held out; none where nothing is */
  constructor(sequences: readonly Int32Array[], tokenizer: Tokenizer) {
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
  async after(step: number, trainer: Trainer, signal?: AbortSignal): Promise<EvalEvent | null> {
    let val_loss: number;
    try {
      val_loss = await trainer.evaluate(this.sequences, signal);
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return null;
      throw error;
    }
    if (!isFloat(val_loss)) throw diverged(`after step ${step} the validation loss is ${val_loss}`);
    return { type: "eval", step, val_loss, bits_per_byte: bitsPerByte(val_loss, this.size) };
  }
}
