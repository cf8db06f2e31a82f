// The texts of a request, all of them at once, piece by piece as they are drawn.

import { either } from "../either.ts";
import { merged } from "../merged.ts";
import type { Beginning } from "../generation/beginning.ts";
import type { DrawnToken, FinishReason } from "../generation/draw.ts";
import type { AnsweringOptions, Generator } from "../generation/from_model.ts";
import type { DrawingRequest } from "./requests.ts";

/** What a token adds to a choice. */
export interface Piece {
  /** Of the choice. */
  index: number;
  /** What it completes of the text; may be nothing. */
  text: string;
  /** Where log-probabilities are asked for. */
  token?: DrawnToken;
  /** null of all but the last. */
  finish_reason: FinishReason | null;
}

export interface ChoiceOptions extends AnsweringOptions {
  /** Of each beginning. */
  n: number;
}

/**
 * The pieces of n texts for each beginning; text i of one has the seed + i.
 * @throws ConfigError naming the first option that is wrong, at once
 * @throws the signal's reason, where it is aborted before all texts are whole
 */
export function writeChoices(
  generator: Generator,
  beginnings: readonly Beginning[],
  { n, seed, signal, ...options }: ChoiceOptions,
): AsyncGenerator<Piece> {
  const leaving = new AbortController();
  const ended = either(signal, leaving.signal);
  const texts = beginnings.flatMap((beginning, p) =>
    Array.from({ length: n }, (_, i) => {
      const drawn = generator.complete(beginning, {
        ...options,
        max_tokens: options.max_tokens ?? beginning.usual,
        seed: (seed + i) % 2 ** 53,
        signal: ended,
      });
      return piecesOf(p * n + i, drawn, signal);
    }),
  );
  return merged(texts, () => leaving.abort());
}

async function* piecesOf(
  index: number,
  drawn: ReturnType<Generator["complete"]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece> {
  let whole = false;
  for await (const { text, logprob, finish_reason = null } of drawn) {
    whole = finish_reason !== null;
    yield { index, text, ...(logprob ? { token: logprob } : {}), finish_reason };
  }
  if (!whole) signal?.throwIfAborted();
}

/** How a request has its texts drawn; what it does not say is as the model's settings have it. */
export function drawingOf(request: DrawingRequest): AnsweringOptions {
  const { temperature, top_p, top_k, min_p, repetition_penalty, seed, stop, logit_bias } = request;
  const given = { temperature, top_p, top_k, min_p, repetition_penalty, logit_bias };
  const said = Object.entries(given).filter(([, value]) => value !== null && value !== undefined);
  return {
    ...Object.fromEntries(said),
    ...(stop ? { stop: typeof stop === "string" ? [stop] : stop } : {}),
    seed: seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
  };
}
