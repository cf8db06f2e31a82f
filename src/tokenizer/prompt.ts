// What a user writes for a model to go on with: every part of it needs a token of its own.

import { count } from "../count.ts";
import { UnknownCharacterError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** @throws UnknownCharacterError if some of it has none, or only the one that stands for whatever has none */
export function encodePrompt(tokenizer: Tokenizer, prompt: string): number[] {
  const isUnknown = (id: number) => id === tokenizer.unknown_id;
  const ids = [...tokenizer.encode(prompt)];
  if (!ids.some(isUnknown)) return ids;
  const words = prompt.split(/\s+/);
  const word = words.find((word) => [...tokenizer.encode(word)].some(isUnknown)) ?? prompt;
  throw new UnknownCharacterError(
    `The model has no token for ${JSON.stringify(word)}, or a part of it, among the ` +
      `${count(tokenizer.vocab_size)} of its ${tokenizer.kind} tokenizer. Leave it out, or train with a larger ` +
      `vocab_size, or with tokenizer bpe, which knows every text.`,
  );
}
