// What a user writes for a model to go on with: every part of it needs a token of its own.

import { count } from "../count.ts";
import { UnknownCharacterError } from "../errors.ts";
import { finish } from "../finish.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** @throws UnknownCharacterError if some of it has none, or only the one that stands for whatever has none */
export function encodePrompt(tokenizer: Tokenizer, prompt: string): number[] {
  return finish(encodingPrompt(tokenizer, prompt));
}

/** The same, a part at a time, so that the event loop can be left free between them. */
export function* encodingPrompt(tokenizer: Tokenizer, prompt: string): Generator<void, number[]> {
  const isUnknown = (id: number) => id === tokenizer.unknown_id;
  const encoded = tokenizer.encoding ? yield* tokenizer.encoding(prompt) : tokenizer.encode(prompt);
  yield;
  const ids = [...encoded];
  if (!ids.some(isUnknown)) return ids;
  let unknown = prompt;
  for (const word of prompt.split(/\s+/)) {
    yield;
    if (![...tokenizer.encode(word)].some(isUnknown)) continue;
    unknown = word;
    break;
  }
  throw new UnknownCharacterError(
    `The model has no token for ${JSON.stringify(unknown)}, or a part of it, among the ` +
      `${count(tokenizer.vocab_size)} of its ${tokenizer.kind} tokenizer. Leave it out, or train with a larger ` +
      `vocab_size, or with tokenizer bpe, which knows every text.`,
  );
}
