// Philox 4x32-10: random numbers as a pure function of a key and a counter, so that any one of them can be
// had without those before it. Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy
// as 1, 2, 3".

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
/** Added to the key from round to round. */
const STEPS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

type Words = [number, number, number, number];

/** Four words of 32 random bits. */
export function philox(counter: Readonly<Words>, key: readonly [number, number]): Words {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [highA, lowA] = product(MULTIPLIERS[0], a);
    const [highC, lowC] = product(MULTIPLIERS[1], c);
    [a, b, c, d] = [(highC ^ b ^ k) >>> 0, lowC, (highA ^ d ^ l) >>> 0, lowA];
    k = (k + STEPS[0]) >>> 0;
    l = (l + STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The upper and the lower word of a product. */
function product(x: number, y: number): [high: number, low: number] {
  const low = Math.imul(x, y) >>> 0;
  // x * y is wrong by less than 2^11, so the upper word is wrong by far less than a half before it is rounded.
  return [Math.round((x * y - low) / 2 ** 32), low];
}

/**
 * Uniform in 0..n-1, for one place of one step: the same for the same seed, and independent of every other
 * step, place and seed. Seed and step are safe integers of at least 0, and so is `place`, below 2^32.
 */
export function uniformAt(seed: number, step: number, place: number, n: number): number {
  const [a, b] = philox([place, 0, ...words(step)], words(seed));
  const uniform = ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53; // of [0, 1), 53 bits
  return Math.floor(uniform * n);
}

/** A safe integer as two words of 32 bits. */
export function words(integer: number): [low: number, high: number] {
  return [integer >>> 0, Math.floor(integer / 2 ** 32)];
}
