// Decodes with the float64 reference. Recomputes the whole context.

import type { ForwardConfig } from "../model/forward_config.ts";
import type { Dims } from "../model/parameters.ts";
import { Breather } from "../platform/breather.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { decodeByLogits } from "./decode_by_logits.ts";
import type { Continuation, DecodedToken, Decoder } from "./decoder.ts";
import { windowOf } from "./window.ts";

export class CpuDecoder implements Decoder {
  readonly num_slots = 1;
  private readonly gpt: ReferenceGpt;
  private readonly breather = new Breather();

  /** @param params flat, in the table's order without gaps; read in place, so it follows a training run */
  constructor(config: ForwardConfig, dims: Dims, params: Float64Array) {
    this.gpt = new ReferenceGpt(config, dims, params);
  }

  decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    const { keeps_first } = continuation;
    const context = { block_size: this.gpt.dims.T, keeps_first };
    return decodeByLogits(
      (tokens, signal) => this.nextLogits(windowOf(tokens, context), signal),
      continuation,
    );
  }

  async *score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<Float64Array> {
    const { V } = this.gpt.dims;
    let logits;
    try {
      logits = (await this.forward(tokens, signal)).slice();
    } catch (error) {
      if (signal?.aborted) return; // given up half-way
      throw error;
    }
    for (let t = 0; t < tokens.length && !signal?.aborted; t++) {
      yield logits.subarray(t * V, (t + 1) * V);
    }
  }

  /** Logits (V) of the token after `tokens`, 1 to block_size ids. */
  async nextLogits(tokens: readonly number[], signal?: AbortSignal): Promise<Float64Array> {
    const logits = await this.forward(tokens, signal);
    return logits.slice(-this.gpt.dims.V);
  }

  /** Logits (T, V); valid until the next call. */
  private async forward(tokens: readonly number[], signal?: AbortSignal): Promise<Float64Array> {
    await this.breather.rest();
    const batch = { B: 1, T: tokens.length, inputs: Int32Array.from(tokens) };
    return this.breather.through(this.gpt.forwardInParts(batch), signal);
  }

  destroy(): void {}
}
