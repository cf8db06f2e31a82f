// A text goes on: token by token, up to one that ends it, a stop string, or a number of tokens.

import { ConfigError } from "../errors.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Continuation, Decoder } from "./decoder.ts";
import { type Drawing, logProbabilities } from "./probabilities.ts";
import { StopStrings } from "./stop_strings.ts";

/** What of drawing is no setting of a model, all of it optional. */
export interface DrawOptions extends Pick<Drawing, "logit_bias"> {
  /** Strings before the first of which a text ends; none of them is empty. */
  stop?: readonly string[];
  /** Of so many of the likeliest tokens the log-probabilities are told, at each place, beside that of the token drawn. */
  logprobs?: number;
}

/** How likely a token was at its place. */
export interface TokenLogprob {
  id: number;
  /** Its text by itself, the name of a special token; of a part of a character U+FFFD. */
  token: string;
  /** Natural logarithm of the model's own probability, before temperature and whatever else it is drawn by. */
  logprob: number;
}

/** A token that was drawn. */
export interface DrawnToken extends TokenLogprob {
  /** The likeliest ones at its place, as many as were asked for, the likeliest first. */
  top_logprobs: TokenLogprob[];
}

/** Why a text ended: by a token or string that ends texts, or because it was long enough. */
export type FinishReason = "stop" | "length";

export interface Draw
  extends
    Drawing,
    DrawOptions,
    Pick<Continuation, "ends" | "max_tokens" | "keeps_first" | "random" | "signal">,
    Pick<Decoder, "decode"> {
  tokenizer: Tokenizer;
}

export interface Drawn {
  id: number;
  /** What it completes of the text; of the last one all that was waiting. */
  text: string;
  /** Where `logprobs` are asked for. */
  logprob?: DrawnToken;
  /** Of the last one. */
  finish_reason?: FinishReason;
}

/**
 * What comes after `tokens`. Special tokens that end nothing are never drawn, nor is the one for unknown words. Once the
 * signal is aborted no more come, and none of them is the last.
 * @param stream has had what is shown of `tokens`
 */
export async function* draw(
  tokens: readonly number[],
  stream: TextStream,
  options: Draw,
): AsyncGenerator<Drawn> {
  const { tokenizer, ends, max_tokens, stop = [], logprobs } = options;
  const special = new Set(tokenizer.special.values());
  const { unknown_id } = tokenizer;
  const noText = [...special, ...(unknown_id === undefined ? [] : [unknown_id])];
  const never = noText.filter((id) => !ends.includes(id));
  const seen = tokens.slice(1).filter((id) => !special.has(id));
  const stops = new StopStrings(stop);
  let count = 0;
  const decoded = options.decode({
    ...options,
    tokens,
    never,
    seen,
    logits: logprobs !== undefined,
  });
  for await (const { id, logits } of decoded) {
    count++;
    const ended = ends.includes(id);
    let text = ended ? "" : stops.push(stream.push([id]));
    const finish_reason =
      ended || stops.found ? "stop" : count === max_tokens ? "length" : undefined;
    if (finish_reason !== undefined && !stops.found) text += stops.push(stream.end()) + stops.end();
    const drawn: Drawn = { id, text };
    if (logits && logprobs !== undefined) drawn.logprob = told(tokenizer, logits, id, logprobs);
    if (finish_reason !== undefined) drawn.finish_reason = finish_reason;
    yield drawn;
    if (finish_reason !== undefined) return;
  }
}

/** A token with its log-probability, and the likeliest ones beside it; of equals those with the smallest ids. */
export function told(
  tokenizer: Tokenizer,
  logits: ArrayLike<number>,
  id: number,
  most: number,
): DrawnToken {
  const logs = logProbabilities(logits);
  const names = new Map([...tokenizer.special].map(([name, id]) => [id, name]));
  const of = (id: number): TokenLogprob => ({
    id,
    token: names.get(id) ?? tokenizer.decode([id]),
    logprob: logs[id],
  });
  return { ...of(id), top_logprobs: likeliestOf(logs, most).map(of) };
}

/** The ids of the largest, the largest first; few of many are found without sorting all of them. */
function likeliestOf(logs: ArrayLike<number>, most: number): number[] {
  const found: number[] = [];
  for (let id = 0; id < logs.length && most > 0; id++) {
    if (found.length === most && logs[id] <= logs[found[most - 1]]) continue;
    let at = found.length;
    while (at > 0 && logs[found[at - 1]] < logs[id]) at--;
    found.splice(at, 0, id);
    if (found.length > most) found.pop();
  }
  return found;
}

/** @throws ConfigError naming the first option that is wrong */
export function checkDrawOptions(
  { stop = [], logit_bias = {}, logprobs = 0 }: DrawOptions,
  { vocab_size }: Pick<Tokenizer, "vocab_size">,
): void {
  if (!Array.isArray(stop) || stop.some((text) => typeof text !== "string" || text === "")) {
    throw new ConfigError(
      "stop",
      `stop is ${JSON.stringify(stop)}; it must be a list of strings that are not empty.`,
    );
  }
  if (!Number.isSafeInteger(logprobs) || logprobs < 0) {
    throw new ConfigError(
      "logprobs",
      `logprobs is ${String(logprobs)}; it must be a whole number of at least 0.`,
    );
  }
  for (const [id, bias] of Object.entries(logit_bias)) {
    const isId = /^\d+$/.test(id) && Number(id) < vocab_size;
    if (isId && typeof bias === "number" && Number.isFinite(bias)) continue;
    throw new ConfigError(
      "logit_bias",
      `logit_bias has ${JSON.stringify(bias)} for "${id}"; it takes ids of tokens, 0 to ${vocab_size - 1}, and for each ` +
        `a number that is added to its logit.`,
    );
  }
}
