// What continues texts: token by token, many of them at a time, on the CPU or the GPU.

import type { PythonRandom } from "../random.ts";
import type { Drawing } from "./probabilities.ts";

/** A text that goes on, and how its tokens are drawn. */
export interface Continuation extends Drawing {
  /** What there is of it: at least one id. */
  tokens: readonly number[];
  /** Ids that are never drawn. */
  never: readonly number[];
  /** Ids of the text so far for the repetition penalty; those that are drawn come to them. */
  seen: Iterable<number>;
  /** Ids that end the text; the one that does is told. */
  ends: readonly number[];
  /** Tokens after which it ends at the latest, at least 1. */
  max_tokens: number;
  /** Whether the first token stays in the context when others leave it. */
  keeps_first: boolean;
  /** Of which every token that is told has taken one number, and none else has. */
  random: PythonRandom;
  /** Whether the logits of each token's place are wanted. */
  logits: boolean;
  /** Once aborted, no further token is drawn, and none is told. */
  signal?: AbortSignal;
}

export interface DecodedToken {
  id: number;
  /** (V) of its place, where they were asked for; valid until the next token is pulled. */
  logits?: ArrayLike<number>;
}

export interface Decoder {
  /** Texts that are written at the same time; what comes beyond them waits for its turn, in order. */
  readonly num_slots: number;
  /**
   * The tokens that come next, the same ones whatever else is decoded. Not pulling lets the text wait; to return gives
   * its place free.
   * @throws GpuError if the device fails
   */
  decode(continuation: Continuation): AsyncGenerator<DecodedToken>;
  /**
   * Logits (V) of what follows each of a text's tokens, of which there are block_size at most; each valid until the next
   * is pulled. Once the signal is aborted no more come.
   * @throws GpuError if the device fails
   */
  score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<ArrayLike<number>>;
  /** Frees what it holds on its device. */
  destroy(): void;
}
