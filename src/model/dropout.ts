// Which elements a training step leaves out: a pure function of (seed, step, tensor, element), so that the backward pass,
// a resumed run, the CPU and the GPU all see the same, and nothing is kept. The one place that fixes it, in words of 32 bits:
//
//   key      seed, its low and its high word
//   counter  floor(element / 4), 1 + tensor, the step's low and its high word
//
// Word element mod 4 of philox(counter, key) below threshold(p): the element is left out. The others are times 1 / (1 - p).
// Steps count from 0. Element (row, t, c) is (row·T + t)·C + c with T the context, however long the batch at hand is, and
// row counted through all parts of a batch: a batch in parts leaves out what it leaves out as one. Counters with 0 as
// their second word choose the windows of a stream (philox.ts, uniformAt).

import { philox, words } from "../philox.ts";

/** The tensors that dropout is applied to: the embedding's output, and what each layer's two branches add to the stream. */
export const dropped = {
  embedding: 0,
  attention: (layer: number) => 1 + 2 * layer,
  mlp: (layer: number) => 2 + 2 * layer,
} as const;

/** Which step's elements are left out. */
export interface DropoutKey {
  seed: number;
  /** From 0. */
  step: number;
  /** One of `dropped`. */
  tensor: number;
}

/** Words below this leave their element out; of 32 bits. */
export function threshold(dropout: number): number {
  return Math.floor(dropout * 2 ** 32);
}

/** The words of elements; asked for in order, four of them cost one call of the generator. */
export class DropoutWords {
  private readonly key: [number, number];
  private readonly counter: [number, number, number, number];
  private group = -1;
  private four: readonly number[] = [];

  constructor({ seed, step, tensor }: DropoutKey) {
    this.key = words(seed);
    this.counter = [0, 1 + tensor, ...words(step)];
  }

  at(element: number): number {
    const group = Math.floor(element / 4);
    if (group !== this.group) {
      this.group = group;
      this.counter[0] = group >>> 0;
      this.four = philox(this.counter, this.key);
    }
    return this.four[element % 4];
  }
}
