// Pairs of tokens, numbered as they come: a hash table of integers, since Map is slow with so many keys.

export class Pairs {
  /** The two tokens of each pair. */
  left = new Int32Array(1024);
  right = new Int32Array(1024);
  size = 0;
  /** The number of a pair at its hash or soon after it; -1 where there is none. At most half full. */
  private slots = new Int32Array(4096).fill(-1);

  /** @returns its number; -1 if it has none */
  get(left: number, right: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let at = hash(left, right) & mask; ; at = (at + 1) & mask) {
      const pair = slots[at];
      if (pair < 0 || (this.left[pair] === left && this.right[pair] === right)) return pair;
    }
  }

  /** @returns its number, the next one if it had none */
  add(left: number, right: number): number {
    const known = this.get(left, right);
    if (known >= 0) return known;
    const pair = this.size++;
    if (pair === this.left.length) this.grow();
    this.left[pair] = left;
    this.right[pair] = right;
    this.enter(pair);
    return pair;
  }

  private enter(pair: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let at = hash(this.left[pair], this.right[pair]) & mask;
    while (slots[at] >= 0) at = (at + 1) & mask;
    slots[at] = pair;
  }

  private grow(): void {
    this.left = longer(this.left);
    this.right = longer(this.right);
    this.slots = new Int32Array(2 * this.slots.length).fill(-1);
    for (let pair = 0; pair < this.size - 1; pair++) this.enter(pair);
  }
}

function hash(left: number, right: number): number {
  const mixed = Math.imul(left ^ Math.imul(right, 0x85ebca6b), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** The same array with as much room again. */
export function longer<T extends Int32Array | Float64Array>(array: T): T {
  const Same = array.constructor as new (length: number) => T;
  const more = new Same(2 * array.length);
  more.set(array as never);
  return more;
}
