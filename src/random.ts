// Python's `random` module, bit for bit: the Mersenne Twister MT19937 and the methods microgpt uses.
// Sources: Matsumoto and Nishimura 1998; CPython's Lib/random.py and Modules/_randommodule.c.

import { finish } from "./finish.ts";

const N = 624;
const M = 397;

/** Items that are shuffled at a time. */
const PART = 2 ** 16;

interface Items<T> {
  readonly length: number;
  [index: number]: T;
}

export class PythonRandom {
  private readonly state = new Uint32Array(N);
  private index = N;
  private spareGauss: number | undefined;

  /** @param seed a non-negative safe integer, as random.seed(seed) takes it */
  constructor(seed: number) {
    const words: number[] = [];
    for (let rest = seed; rest > 0; rest = Math.floor(rest / 2 ** 32)) words.push(rest >>> 0);
    this.initByArray(words.length > 0 ? words : [0]);
  }

  /** Another one that gives the same numbers from here on. */
  clone(): PythonRandom {
    const copy = new PythonRandom(0);
    copy.state.set(this.state);
    copy.index = this.index;
    copy.spareGauss = this.spareGauss;
    return copy;
  }

  private initByArray(key: number[]): void {
    const { state } = this;
    state[0] = 19650218;
    for (let i = 1; i < N; i++) {
      state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
    let i = 1;
    const mix = (factor: number) => Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), factor);
    const advance = () => {
      i++;
      if (i >= N) {
        state[0] = state[N - 1];
        i = 1;
      }
    };
    for (let k = 0; k < Math.max(N, key.length); k++) {
      const j = k % key.length;
      state[i] = (state[i] ^ mix(1664525)) + key[j] + j;
      advance();
    }
    for (let k = 0; k < N - 1; k++) {
      state[i] = (state[i] ^ mix(1566083941)) - i;
      advance();
    }
    state[0] = 0x80000000;
  }

  /** 32 random bits. */
  private next(): number {
    const { state } = this;
    if (this.index >= N) {
      for (let k = 0; k < N; k++) {
        const y = (state[k] & 0x80000000) | (state[(k + 1) % N] & 0x7fffffff);
        state[k] = state[(k + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.index = 0;
    }
    let y = state[this.index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** random.random(): uniform in [0, 1), 53 bits. */
  random(): number {
    const a = this.next() >>> 5;
    const b = this.next() >>> 6;
    return (a * 67108864 + b) / 9007199254740992;
  }

  /** random._randbelow(n): uniform in 0..n-1, by rejection; n below 2^32. */
  private below(n: number): number {
    const bits = 32 - Math.clz32(n); // n.bit_length()
    let r: number;
    do r = this.next() >>> (32 - bits);
    while (r >= n);
    return r;
  }

  /** random.shuffle(items), in place. */
  shuffle<T>(items: Items<T>): void {
    finish(this.shuffleInParts(items));
  }

  /**
   * shuffle(), a moment's work at a time.
   * @param tell told how many items have their place
   */
  *shuffleInParts<T>(
    items: Items<T>,
    tell: (done: number, total: number) => void = () => {},
  ): Generator<void, void> {
    const { length } = items;
    for (let last = length; last > 0; last -= PART) {
      tell(length - last, length);
      for (let i = last - 1; i > 0 && i >= last - PART; i--) {
        const j = this.below(i + 1);
        const item = items[i];
        items[i] = items[j];
        items[j] = item;
      }
      yield;
    }
    tell(length, length);
  }

  /** random.gauss(mean, std): Box-Muller, the second value kept for the next call. */
  gauss(mean: number, std: number): number {
    let z = this.spareGauss;
    this.spareGauss = undefined;
    if (z === undefined) {
      const angle = this.random() * 2 * Math.PI;
      const radius = Math.sqrt(-2 * Math.log(1 - this.random()));
      z = Math.cos(angle) * radius;
      this.spareGauss = Math.sin(angle) * radius;
    }
    return mean + z * std;
  }

  /** random.choices(range(n), weights)[0]: an index, in proportion to its weight. */
  choice(weights: ArrayLike<number>): number {
    const cumulative = new Float64Array(weights.length);
    let total = 0;
    for (let i = 0; i < weights.length; i++) cumulative[i] = total += weights[i];
    const point = this.random() * total;
    let low = 0;
    let high = weights.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (point < cumulative[middle]) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
