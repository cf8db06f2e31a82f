// One text that goes on by logits that are at hand on the CPU.

import type { Continuation, DecodedToken } from "./decoder.ts";
import { nextProbabilities } from "./probabilities.ts";

/**
 * Logits (V) of the token that follows all `tokens` of the text.
 * @throws the signal's reason where it is aborted before they are known
 */
export type NextLogits = (
  tokens: readonly number[],
  signal?: AbortSignal,
) => Promise<ArrayLike<number>>;

/** See Decoder.decode(). */
export async function* decodeByLogits(
  nextLogits: NextLogits,
  continuation: Continuation,
): AsyncGenerator<DecodedToken> {
  const { random, signal, ends, never, max_tokens } = continuation;
  const tokens = [...continuation.tokens];
  const seen = new Set(continuation.seen);
  for (let count = 1; !signal?.aborted; count++) {
    let logits;
    try {
      logits = await nextLogits(tokens, signal);
    } catch (error) {
      if (signal?.aborted) return; // given up half-way
      throw error;
    }
    const id = random.choice(nextProbabilities(logits, continuation, { never, seen }));
    tokens.push(id);
    seen.add(id);
    yield { id, logits };
    if (ends.includes(id) || count === max_tokens) return;
  }
}
