// A decoder for tests: logits as a function of what a model would see of the text.

import { decodeByLogits, type NextLogits } from "../../src/generation/decode_by_logits.ts";
import type { Decoder } from "../../src/generation/decoder.ts";
import { windowOf } from "../../src/generation/window.ts";

export function decodeBy(nextLogits: NextLogits, block_size = Infinity): Decoder["decode"] {
  return (continuation) => {
    const { keeps_first } = continuation;
    const context = { block_size, keeps_first };
    return decodeByLogits((tokens) => nextLogits(windowOf(tokens, context)), continuation);
  };
}
