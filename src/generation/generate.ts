// Sampling: from the logits of the next token to texts, one token at a time.

import { isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import type { PythonRandom } from "../random.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** A text that the model wrote. */
export interface SampleEvent {
  type: "sample";
  /** From 1. */
  index: number;
  text: string;
}

export interface GenerateOptions {
  /** What the model was trained on. */
  format: Config["format"];
  num_samples: number;
  temperature: number;
  block_size: number;
  tokenizer: Tokenizer;
  random: PythonRandom;
  /** Text that every sample begins with; encoded by the tokenizer, at most block_size - 1 tokens count. */
  prompt?: string;
  /** Once aborted, no further token is drawn. */
  signal?: AbortSignal;
  /** Logits (V) of the token after `tokens`. */
  nextLogits(tokens: readonly number[]): Promise<ArrayLike<number>>;
}

/**
 * Texts of at most block_size tokens. Documents start at BOS and stop at BOS, as in microgpt. A model of a
 * stream has never seen BOS: it writes on after its starting token, which is not shown, and never draws BOS.
 */
export async function* generate(options: GenerateOptions): AsyncGenerator<SampleEvent> {
  const { format, num_samples, temperature, block_size, tokenizer, random, signal } = options;
  const first = isStream(format) ? tokenizer.start : tokenizer.bos;
  const prompt = tokenizer.encode(options.prompt ?? "");
  for (let index = 1; index <= num_samples; index++) {
    const tokens = [first, ...prompt];
    while (tokens.length <= block_size && !signal?.aborted) {
      const logits = await options.nextLogits(tokens);
      const probabilities = softmax(logits, temperature);
      if (isStream(format)) probabilities[tokenizer.bos] = 0;
      const token = random.choice(probabilities);
      if (token === tokenizer.bos) break;
      tokens.push(token);
    }
    if (signal?.aborted) return;
    yield { type: "sample", index, text: tokenizer.decode(tokens.slice(1)) };
  }
}

/** Probabilities (V) of softmax(logits / temperature). */
export function softmax(logits: ArrayLike<number>, temperature: number): Float64Array {
  const p = Float64Array.from(logits, (logit) => logit / temperature);
  const largest = p.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += p[i] = Math.exp(p[i] - largest);
  return p.map((e) => e / sum);
}
