// The log-probabilities of a completion's tokens, as lists of what is told of each.

import type { Beginning } from "../generation/beginning.ts";
import { type DrawnToken, told, type TokenLogprob } from "../generation/draw.ts";
import type { Generator } from "../generation/from_model.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { CompletionLogprobs } from "./objects.ts";

/** Tells of tokens one after the other, with the places where they are in the text. */
export class TokenPlaces {
  private readonly tokenizer: Tokenizer;
  private readonly stream: TextStream;
  private place: number;

  /**
   * @param before ids that the first one comes after
   * @param place characters of the text before it
   */
  constructor(tokenizer: Tokenizer, before: readonly number[], place: number) {
    this.tokenizer = tokenizer;
    this.stream = new TextStream(tokenizer);
    this.stream.push(before);
    this.place = place;
  }

  /** @param logprob null of a token that follows nothing */
  of(id: number, logprob: DrawnToken | null): CompletionLogprobs {
    const name = (token: { id: number; token: string }) => nameOf(this.tokenizer, token);
    const top: Record<string, number> = {};
    // Of two tokens with one name the likelier.
    for (const each of logprob ? [...logprob.top_logprobs, logprob] : []) {
      top[name(each)] ??= each.logprob;
    }
    const place = this.place;
    this.place += countCharacters(this.stream.push([id]));
    return {
      tokens: [name(logprob ?? { id, token: this.tokenizer.decode([id]) })],
      token_logprobs: [logprob && logprob.logprob],
      top_logprobs: [logprob && top],
      text_offset: [place],
    };
  }
}

/** A token by its text; a part of a character by its bytes. */
function nameOf(tokenizer: Tokenizer, { id, token }: Pick<TokenLogprob, "id" | "token">): string {
  if (!token.includes("\uFFFD")) return token;
  const bytes = [...tokenizer.bytes(id)];
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
}

/** As those who index the text in Python count them. */
export function countCharacters(text: string): number {
  return [...text].length;
}

/** Those of a prompt's tokens. */
export async function promptLogprobs(
  generator: Generator,
  { tokens, shown }: Beginning,
  most: number,
  signal?: AbortSignal,
): Promise<CompletionLogprobs> {
  const { tokenizer } = generator.model;
  const places = new TokenPlaces(tokenizer, [], 0);
  const all = joined(shown.slice(0, 1).map((id) => places.of(id, null)));
  let t = shown.length - tokens.length + 1; // of the token of `shown` that the next logits are of
  for await (const logits of generator.score(tokens, signal)) {
    if (t > 0 && t < shown.length) {
      append(all, places.of(shown[t], told(tokenizer, logits, shown[t], most)));
    }
    t++;
  }
  signal?.throwIfAborted();
  return all;
}

export function joined(rows: readonly CompletionLogprobs[]): CompletionLogprobs {
  const all: CompletionLogprobs = {
    tokens: [],
    token_logprobs: [],
    top_logprobs: [],
    text_offset: [],
  };
  for (const row of rows) append(all, row);
  return all;
}

export function append(to: CompletionLogprobs, more: CompletionLogprobs): void {
  for (const token of more.tokens) to.tokens.push(token);
  for (const logprob of more.token_logprobs) to.token_logprobs.push(logprob);
  for (const top of more.top_logprobs) to.top_logprobs.push(top);
  for (const place of more.text_offset) to.text_offset.push(place);
}
