// Which token may come next, and how likely: from logits, by what changes them and by what leaves tokens out.

import type { Config } from "../config.ts";

/** How the next token is drawn; what is absent changes nothing. */
export interface Drawing
  extends
    Pick<Config, "temperature">,
    Partial<Pick<Config, "top_k" | "top_p" | "min_p" | "repetition_penalty">> {
  /** What is added to the logits of some tokens, by their ids. */
  logit_bias?: Readonly<Record<number, number>>;
}

/** What a text makes of its tokens. */
interface Standing {
  /** Ids that are never drawn. */
  never?: Iterable<number>;
  /** Ids of the text so far, for the repetition penalty. */
  seen?: Iterable<number>;
}

/**
 * Probabilities (V) to draw the next token by. What there is is applied in this order, which is Hugging Face's: bias,
 * repetition penalty, temperature, top_k, top_p, min_p; each sees what those before it have left. Of tokens that are
 * equally likely at an edge, all stay.
 */
export function nextProbabilities(
  logits: ArrayLike<number>,
  drawing: Drawing,
  { never = [], seen = [] }: Standing = {},
): Float64Array {
  const { temperature, top_k = 0, top_p = 1, min_p = 0, repetition_penalty = 1 } = drawing;
  const scores = Float64Array.from(logits);
  for (const [id, bias] of Object.entries(drawing.logit_bias ?? {})) scores[Number(id)] += bias;
  if (repetition_penalty !== 1) penalize(scores, new Set(seen), repetition_penalty);
  for (const id of never) scores[id] = -Infinity;
  if (top_k > 0 && top_k < scores.length) {
    leaveOut(scores, scores, scores.toSorted()[scores.length - top_k]);
  }
  if (top_p < 1) {
    const p = softmax(scores, temperature);
    leaveOut(scores, p, leastOfTop(p, top_p));
  }
  if (min_p > 0) {
    const p = softmax(scores, temperature);
    leaveOut(scores, p, min_p * p.reduce((a, b) => Math.max(a, b)));
  }
  return softmax(scores, temperature);
}

/** As in CTRL: a logit gets smaller, whichever sign it has. */
function penalize(scores: Float64Array, seen: ReadonlySet<number>, penalty: number): void {
  for (const id of seen) scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
}

/** Leaves out what has less than `least` of something (V). */
function leaveOut(scores: Float64Array, of: Float64Array, least: number): void {
  for (let i = 0; i < scores.length; i++) if (of[i] < least) scores[i] = -Infinity;
}

/** The least probability for which those above it have less than top_p together. */
function leastOfTop(p: Float64Array, top_p: number): number {
  const sorted = p.toSorted();
  let above = 0; // of those that are likelier than the one at i
  let equal = 0; // of those as likely as it, up to it
  for (let i = sorted.length - 1; i >= 0; i--) {
    if (sorted[i] !== sorted[i + 1]) {
      above += equal;
      equal = 0;
      if (above >= top_p) return sorted[i + 1];
    }
    equal += sorted[i];
  }
  return 0;
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

/** log softmax(logits) (V): the model's own log-probabilities, whatever it is drawn by. */
export function logProbabilities(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - largest);
  return values.map((value) => value - largest - Math.log(sum));
}
