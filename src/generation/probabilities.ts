// Which token may come next, and how likely: from logits, by temperature and top-k.

import type { Config } from "../config.ts";

/**
 * Probabilities (V) to draw the next token by.
 * @param never ids that are never drawn
 */
export function nextProbabilities(
  logits: ArrayLike<number>,
  { temperature, top_k }: Pick<Config, "temperature" | "top_k">,
  never: readonly number[] = [],
): Float64Array {
  const possible = Float64Array.from(logits);
  for (const id of never) possible[id] = -Infinity;
  if (top_k > 0 && top_k < possible.length) {
    const least = possible.toSorted()[possible.length - top_k];
    for (let i = 0; i < possible.length; i++) if (possible[i] < least) possible[i] = -Infinity;
  }
  return softmax(possible, temperature);
}

/** Probabilities (V) of softmax(logits / temperature); at 0 the likeliest token alone, the first where several are. */
export function softmax(logits: ArrayLike<number>, temperature: number): Float64Array {
  const p = Float64Array.from(logits);
  const largest = p.reduce((a, b) => Math.max(a, b), -Infinity);
  if (temperature === 0) {
    const likeliest = p.indexOf(largest);
    return p.map((_, i) => (i === likeliest ? 1 : 0));
  }
  let sum = 0;
  // Less the largest, then divided: a temperature near 0 makes a logit infinite, but no difference a wrong one.
  for (let i = 0; i < p.length; i++) sum += p[i] = Math.exp((p[i] - largest) / temperature);
  return p.map((e) => e / sum);
}
