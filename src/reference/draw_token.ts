// The token that comes next in each row's text, drawn from its logits: the twin of the kernel, by sorting.

import type { Values } from "./values.ts";

/** How a slot's text is drawn, as the kernel reads it. */
export interface SlotDrawing {
  temperature: number;
  /** 0: all. */
  top_k: number;
  /** 1: all. */
  top_p: number;
  /** 0: all. */
  min_p: number;
  /** 1: none. */
  repetition_penalty: number;
  /** Ids and what is added to their logits. */
  biases: readonly (readonly [id: number, value: number])[];
  /** Ids that are never drawn. */
  never: ReadonlySet<number>;
  /** Ids that the text has. */
  seen: ReadonlySet<number>;
}

/**
 * The first id whose share and those before it are more than `number`'s. The logits (V) become what was drawn by:
 * exp((x - largest) / temperature), and 0 where a token was left out.
 */
export function drawToken(logits: Values, drawing: SlotDrawing, number: number): number {
  const { temperature, top_k, top_p, min_p, repetition_penalty: penalty } = drawing;
  for (const [id, value] of drawing.biases) logits[id] += value;
  if (penalty !== 1) {
    for (const id of drawing.seen)
      logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
  }
  for (const id of drawing.never) logits[id] = -Infinity;
  const largest = Math.max(...logits);
  const V = logits.length;
  if (temperature === 0) {
    const likeliest = logits.indexOf(largest);
    for (let v = 0; v < V; v++) logits[v] = Number(v === likeliest);
    return likeliest;
  }
  const kth = top_k > 0 && top_k < V ? logits.toSorted()[V - top_k] : -Infinity;
  for (let v = 0; v < V; v++) {
    logits[v] = logits[v] >= kth ? Math.exp((logits[v] - largest) / temperature) : 0;
  }
  const falling = logits.toSorted().toReversed();
  let all = 0;
  for (const e of falling) all += e;
  let least = min_p;
  let above = 0; // of those larger than the one at v
  for (let v = 0, equal = 0; v < V && top_p < 1; v++) {
    if (falling[v] !== falling[v - 1]) {
      above += equal;
      equal = 0;
      if (above >= top_p * all) {
        least = Math.max(least, falling[v - 1]);
        break;
      }
    }
    equal += falling[v];
  }
  let left = 0;
  for (let v = 0; v < V; v++) left += logits[v] = logits[v] < least ? 0 : logits[v];
  let sum = 0;
  for (let v = 0; v < V; v++) {
    sum += logits[v];
    if (number * left < sum) return v;
  }
  return V - 1;
}
