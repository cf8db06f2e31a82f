// What a request is answered with: an object, or a stream of them.

import type { Usage } from "./objects.ts";

export type Answer<T, Chunk> = { object: T } | { stream: AsyncIterable<Chunk> };

/** Tokens of a request so far. */
export interface Tally {
  /** Those of its prompts. */
  readonly prompt: number;
  drawn: number;
}

export function usageOf({ prompt, drawn }: Tally): Usage {
  return { prompt_tokens: prompt, completion_tokens: drawn, total_tokens: prompt + drawn };
}
