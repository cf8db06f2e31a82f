// All different pre-tokens of a text as sequences of tokens, one after the other, and where each pair of neighbours
// is: a merge costs as much as there are places of its pair.

import { PairQueue } from "./pair_queue.ts";
import { Pairs, longer } from "./pairs.ts";

/** Places between two turns of the caller's. */
const PART = 2 ** 14;

export class Sequences {
  readonly pairs = new Pairs();
  /** How often each pair is there. */
  private counts = new Float64Array(1024);
  /** The first place of each pair: that of its left token; -1 where there is none. */
  private first = new Int32Array(1024);
  /** The token at each place; -1 where it was merged into the one before it. */
  private readonly ids: Int32Array;
  /** The places of each one's neighbours in its pre-token; -1 where it ends. */
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  /** A list of the places of each pair. */
  private readonly after: Int32Array;
  private readonly before: Int32Array;
  /** The pre-token of each place, and how often that is there. */
  private readonly pretoken: Int32Array;
  private readonly weights: Float64Array;
  private readonly queue = new PairQueue(this.pairs);

  private constructor(places: number, pretokens: number) {
    this.ids = new Int32Array(places);
    this.next = new Int32Array(places);
    this.prev = new Int32Array(places);
    this.after = new Int32Array(places);
    this.before = new Int32Array(places);
    this.pretoken = new Int32Array(places);
    this.weights = new Float64Array(pretokens);
  }

  static *from(counts: ReadonlyMap<string, number>): Generator<void, Sequences> {
    const utf8 = new TextEncoder();
    let places = 0;
    for (const pretoken of counts.keys()) places += utf8.encode(pretoken).length;
    const text = new Sequences(places, counts.size);
    let place = 0;
    let index = 0;
    for (const [pretoken, weight] of counts) {
      text.weights[index] = weight;
      const bytes = utf8.encode(pretoken);
      for (let i = 0; i < bytes.length; i++, place++) {
        text.ids[place] = bytes[i];
        text.pretoken[place] = index;
        text.prev[place] = i > 0 ? place - 1 : -1;
        text.next[place] = i + 1 < bytes.length ? place + 1 : -1;
        if (i > 0) text.add(place - 1);
        if (place % PART === 0) yield;
      }
      index++;
    }
    text.enqueue(0);
    return text;
  }

  /** The pair to merge next; -1 if none is there twice. */
  best(): number {
    return this.queue.pop(this.counts);
  }

  /** Makes every place of a pair the token `id`, which is new. */
  *merge(pair: number, id: number): Generator<void> {
    const { ids, next, prev, pairs } = this;
    const left = pairs.left[pair];
    const right = pairs.right[pair];
    const known = pairs.size;
    const places = this.placesOf(pair);
    if (left === right) places.sort(); // the leftmost of those that overlap comes first
    this.first[pair] = -1;
    this.counts[pair] = 0;
    for (let p = 0; p < places.length; p++) {
      if (p % PART === 0 && p > 0) yield;
      const place = places[p];
      const taken = next[place];
      if (ids[place] !== left || taken < 0 || ids[taken] !== right) continue; // overlapped
      const start = prev[place];
      const end = next[taken];
      if (start >= 0) this.remove(start, pair);
      if (end >= 0) this.remove(taken, pair);
      ids[place] = id;
      ids[taken] = -1;
      next[place] = end;
      if (end >= 0) prev[end] = place;
      if (start >= 0) this.add(start);
      if (end >= 0) this.add(place);
    }
    this.enqueue(known);
  }

  /** @param from the first of the pairs that are new */
  private enqueue(from: number): void {
    for (let pair = from; pair < this.pairs.size; pair++) this.queue.push(pair, this.counts[pair]);
  }

  private placesOf(pair: number): Int32Array {
    let length = 0;
    for (let place = this.first[pair]; place >= 0; place = this.after[place]) length++;
    const places = new Int32Array(length);
    let at = this.first[pair];
    for (let i = 0; i < length; i++) {
      places[i] = at;
      at = this.after[at];
    }
    return places;
  }

  /** Enters the pair of a place and its neighbour. */
  private add(place: number): void {
    const known = this.pairs.size;
    const pair = this.pairs.add(this.ids[place], this.ids[this.next[place]]);
    if (pair === known) {
      if (pair === this.counts.length) {
        this.counts = longer(this.counts);
        this.first = longer(this.first);
      }
      this.first[pair] = -1;
    }
    const second = this.first[pair];
    this.after[place] = second;
    this.before[place] = -1;
    if (second >= 0) this.before[second] = place;
    this.first[pair] = place;
    this.counts[pair] += this.weights[this.pretoken[place]];
  }

  /** @param merged a pair whose list is done with */
  private remove(place: number, merged: number): void {
    const pair = this.pairs.get(this.ids[place], this.ids[this.next[place]]);
    if (pair === merged) return;
    const before = this.before[place];
    const after = this.after[place];
    if (before >= 0) this.after[before] = after;
    else this.first[pair] = after;
    if (after >= 0) this.before[after] = before;
    this.counts[pair] -= this.weights[this.pretoken[place]];
  }
}
