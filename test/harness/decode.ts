// A decoder for tests: logits as a function of what a model would see of the text.

import { decodeByLogits, type NextLogits } from "../../src/generation/decode_by_logits.ts";
import type { Continuation, Decoder } from "../../src/generation/decoder.ts";
import { windowOf } from "../../src/generation/window.ts";
import { PythonRandom } from "../../src/random.ts";

/** A text that goes on by some tokens, all of which may be drawn. */
export function continuationOf(
  tokens: readonly number[],
  more: Partial<Continuation> = {},
): Continuation {
  return {
    tokens,
    temperature: 1,
    never: [],
    seen: tokens,
    ends: [],
    max_tokens: 5,
    keeps_first: true,
    random: new PythonRandom(4),
    logits: false,
    ...more,
  };
}

export function decodeBy(nextLogits: NextLogits, block_size = Infinity): Decoder["decode"] {
  return (continuation) => {
    const { keeps_first } = continuation;
    const context = { block_size, keeps_first };
    return decodeByLogits((tokens) => nextLogits(windowOf(tokens, context)), continuation);
  };
}
