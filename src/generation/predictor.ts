// What continues a text: the logits of the next token, from the CPU or the GPU.

import type { ForwardConfig } from "../model/forward_config.ts";
import type { Dims } from "../model/parameters.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { Breather } from "../platform/breather.ts";

export interface Predictor {
  /**
   * Logits (V) of the token that follows `tokens` (1 to block_size ids).
   * @throws the signal's reason where it is aborted before they are known
   */
  nextLogits(tokens: readonly number[], signal?: AbortSignal): Promise<ArrayLike<number>>;
  /** Frees what the predictor holds on its device. */
  destroy(): void;
}

/** Predicts with the float64 reference. Recomputes the whole context. */
export class CpuPredictor implements Predictor {
  private readonly gpt: ReferenceGpt;
  private readonly breather = new Breather();

  /** @param params flat, in the table's order without gaps */
  constructor(config: ForwardConfig, dims: Dims, params: Float64Array) {
    this.gpt = new ReferenceGpt(config, dims, params);
  }

  async nextLogits(tokens: readonly number[], signal?: AbortSignal): Promise<Float64Array> {
    await this.breather.rest();
    const T = tokens.length;
    const { V } = this.gpt.dims;
    const work = this.gpt.forwardInParts({ B: 1, T, inputs: Int32Array.from(tokens) });
    const logits = await this.breather.through(work, signal);
    return logits.slice((T - 1) * V, T * V);
  }

  destroy(): void {}
}
