// Decodes with the float64 reference. Of each text keys and values are kept, so that a token takes one row; the texts
// take turns.

import type { ForwardConfig } from "../model/forward_config.ts";
import type { Dims } from "../model/parameters.ts";
import { Breather } from "../platform/breather.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import type { Past } from "../reference/past.ts";
import { decodeByLogits } from "./decode_by_logits.ts";
import type { Continuation, DecodedToken, Decoder } from "./decoder.ts";
import { Places } from "./places.ts";
import { type Context, droppedOf, windowOf } from "./window.ts";

/** Tokens of a prompt that are read in one turn at most: for so long the other texts wait. */
const ROWS = 64;

/** What was read of a text. */
interface Read {
  past: Past;
  /** Tokens that have left the context. */
  dropped: number;
}

export class CpuDecoder implements Decoder {
  readonly num_slots = 4;
  private readonly gpt: ReferenceGpt;
  private readonly breather = new Breather();
  private readonly slots = new Places(this.num_slots);
  /** One forward pass at a time: all write to the same activations. */
  private readonly turns = new Places(1);

  /** @param params flat, in the table's order without gaps; read in place, so it follows a training run */
  constructor(config: ForwardConfig, dims: Dims, params: Float64Array) {
    this.gpt = new ReferenceGpt(config, dims, params);
  }

  async *decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    const { keeps_first, signal } = continuation;
    try {
      await this.slots.take(signal);
    } catch {
      return; // aborted before it had begun
    }
    try {
      const context = { block_size: this.gpt.dims.T, keeps_first };
      const read: Read = { past: this.gpt.past(), dropped: 0 };
      yield* decodeByLogits((tokens) => this.next(tokens, read, context, signal), continuation);
    } finally {
      this.slots.give();
    }
  }

  async *score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<Float64Array> {
    const { V } = this.gpt.dims;
    let logits;
    try {
      logits = await this.forward(tokens, undefined, signal);
    } catch (error) {
      if (signal?.aborted) return; // given up half-way
      throw error;
    }
    for (let t = 0; t < tokens.length && !signal?.aborted; t++) {
      yield logits.subarray(t * V, (t + 1) * V);
    }
  }

  /** Logits (V) of the token after `tokens`, of which all is read that was not. */
  private async next(
    tokens: readonly number[],
    read: Read,
    context: Context,
    signal?: AbortSignal,
  ): Promise<Float64Array> {
    const { past } = read;
    const dropped = droppedOf(tokens.length, context);
    if (past.length > 0 && dropped > read.dropped) {
      past.forget(Number(context.keeps_first), dropped - read.dropped);
    }
    read.dropped = dropped;
    const window = windowOf(tokens, context);
    let logits;
    let first = Math.min(past.length, window.length - 1); // the last one is read for its logits, whatever there is
    past.length = first;
    do {
      logits = await this.forward(window.slice(first, first + ROWS), past, signal);
      first += ROWS;
    } while (first < window.length);
    return logits;
  }

  /** Logits of a forward pass in its turn, a copy. */
  private async forward(
    tokens: readonly number[],
    past: Past | undefined,
    signal?: AbortSignal,
  ): Promise<Float64Array> {
    const batch = { B: 1, T: tokens.length, inputs: Int32Array.from(tokens) };
    await this.turns.take(signal);
    try {
      await this.breather.rest();
      const work = this.gpt.forwardInParts(batch, undefined, past);
      return (await this.breather.through(work, signal)).slice();
    } finally {
      this.turns.give();
    }
  }

  destroy(): void {}
}
