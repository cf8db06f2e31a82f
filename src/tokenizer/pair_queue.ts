// Pairs of tokens, the one that is there most often first.

import { type Pairs, longer } from "./pairs.ts";

/**
 * Counts only fall once a pair is in it: one that fell is put in its place when it comes up. Of equal counts the
 * smaller left id is first, then the smaller right id.
 */
export class PairQueue {
  private readonly pairs: Pairs;
  private readonly heap: number[] = [];
  /** The count that each pair has its place by. */
  private keys = new Float64Array(1024);

  constructor(pairs: Pairs) {
    this.pairs = pairs;
  }

  push(pair: number, count: number): void {
    if (count < 2) return;
    while (pair >= this.keys.length) this.keys = longer(this.keys);
    this.keys[pair] = count;
    const { heap } = this;
    let i = heap.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.isFirst(pair, heap[parent])) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = pair;
  }

  /** Takes the first one out; -1 if none counts 2. */
  pop(counts: Float64Array): number {
    const { heap, keys } = this;
    while (heap.length > 0) {
      const pair = heap[0];
      const isTrue = keys[pair] === counts[pair];
      if (!isTrue && counts[pair] >= 2) {
        keys[pair] = counts[pair];
        this.sink(pair);
        continue;
      }
      const last = heap.pop()!;
      if (heap.length > 0) this.sink(last);
      if (isTrue) return pair;
    }
    return -1;
  }

  /** Puts a pair in the place of the first one, and from there where it belongs. */
  private sink(pair: number): void {
    const { heap } = this;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.isFirst(heap[child + 1], heap[child])) child++;
      if (this.isFirst(pair, heap[child])) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = pair;
  }

  private isFirst(a: number, b: number): boolean {
    const { left, right } = this.pairs;
    const byCount = this.keys[b] - this.keys[a];
    return (byCount || left[a] - left[b] || right[a] - right[b]) < 0;
  }
}
