// Byte-level BPE within one pre-token: of all pairs that can merge the one that was learnt first does, the leftmost of
// equal ones, until none can.

import type { Pairs } from "./pairs.ts";

/** What was learnt: pairs in their order, and the token that each becomes. */
export interface Merges {
  readonly pairs: Pairs;
  readonly results: Int32Array;
}

/** Tokens of a pre-token up to which looking at all of them again is faster than a heap. */
export const SHORT = 100;
/** Merges between two turns of the caller's. */
const PART = 2 ** 14;
const NONE = 2 ** 31 - 1;
const ranks = new Int32Array(SHORT);

/**
 * Merges the first `length` of `ids` in place.
 * @param length at most SHORT
 * @returns how many are left
 */
export function mergeShort(ids: Int32Array, length: number, { pairs, results }: Merges): number {
  const rankAt = (i: number) => {
    const rank = i + 1 < length ? pairs.get(ids[i], ids[i + 1]) : -1;
    return rank < 0 ? NONE : rank;
  };
  for (let i = 0; i < length; i++) ranks[i] = rankAt(i);
  for (;;) {
    let at = 0;
    for (let i = 1; i < length; i++) if (ranks[i] < ranks[at]) at = i;
    if (length < 2 || ranks[at] === NONE) return length;
    ids[at] = results[ranks[at]];
    length--;
    for (let i = at + 1; i < length; i++) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1];
    }
    ranks[at] = rankAt(at);
    if (at > 0) ranks[at - 1] = rankAt(at - 1);
  }
}

/**
 * The same in n log n steps, a part at a time.
 * @param ids of at most 2^23 tokens
 * @returns how many are left
 */
export function* merge(ids: Int32Array, length: number, merges: Merges): Generator<void, number> {
  if (length <= SHORT) return mergeShort(ids, length, merges);
  const { pairs, results } = merges;
  // Each token's neighbours; a token that was merged into the one before it is -1.
  const next = new Int32Array(length);
  const prev = new Int32Array(length);
  const rankAt = (i: number) => (next[i] < length ? pairs.get(ids[i], ids[next[i]]) : -1);
  const heap = new Heap(length);
  const offer = (i: number) => {
    const rank = rankAt(i);
    if (rank >= 0) heap.push(rank * PLACES + i);
  };
  for (let i = 0; i < length; i++) {
    next[i] = i + 1;
    prev[i] = i - 1;
    offer(i);
    if (i % PART === 0) yield;
  }
  for (let turns = 0; heap.size > 0; turns++) {
    if (turns % PART === 0) yield;
    const entry = heap.pop();
    const i = entry % PLACES;
    // An entry is stale where one of its two tokens has been merged since.
    if (ids[i] < 0 || rankAt(i) !== (entry - i) / PLACES) continue;
    const taken = next[i];
    ids[i] = results[(entry - i) / PLACES];
    ids[taken] = -1;
    next[i] = next[taken];
    if (next[i] < length) prev[next[i]] = i;
    if (prev[i] >= 0) offer(prev[i]);
    offer(i);
  }
  let left = 0;
  for (let i = 0; i < length; i = next[i]) ids[left++] = ids[i];
  return left;
}

/** A heap's entry is rank · PLACES + place: an exact integer, whose order is the order of merging. */
const PLACES = 2 ** 23;

/** The least of some numbers first. */
class Heap {
  size = 0;
  private entries: Float64Array;

  constructor(capacity: number) {
    this.entries = new Float64Array(capacity);
  }

  push(entry: number): void {
    if (this.size === this.entries.length) {
      const more = new Float64Array(2 * this.size);
      more.set(this.entries);
      this.entries = more;
    }
    const { entries } = this;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (entries[parent] <= entry) break;
      entries[i] = entries[parent];
      i = parent;
    }
    entries[i] = entry;
  }

  pop(): number {
    const { entries } = this;
    const least = entries[0];
    const last = entries[--this.size];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && entries[child + 1] < entries[child]) child++;
      if (entries[child] >= last) break;
      entries[i] = entries[child];
      i = child;
    }
    entries[i] = last;
    return least;
  }
}
