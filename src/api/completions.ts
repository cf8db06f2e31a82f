// Texts that go on from some: a request of /v1/completions to its object, or to the chunks of its stream.

import type { Beginning } from "../generation/beginning.ts";
import type { Generator } from "../generation/from_model.ts";
import { Breather } from "../platform/breather.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import { type Answer, type Tally, usageOf } from "./answer.ts";
import { beginningTexts } from "./beginnings.ts";
import { drawingOf, type Piece, writeChoices } from "./choices.ts";
import {
  append,
  countCharacters,
  joined,
  promptLogprobs,
  TokenPlaces,
} from "./completion_logprobs.ts";
import type {
  Answered,
  Completion,
  CompletionChoice,
  CompletionChunk,
  CompletionChunkChoice,
} from "./objects.ts";
import type { CompletionRequest } from "./requests.ts";

type Head = Answered & { object: "text_completion" };

/** @throws RequestError, or what the model cannot go on from, before anything is drawn */
export async function complete(
  generator: Generator,
  request: CompletionRequest,
  answered: Answered,
  signal?: AbortSignal,
): Promise<Answer<Completion, CompletionChunk>> {
  const { max_tokens, logprobs, stream, stream_options } = request;
  const work = beginningTexts(request, generator.model);
  const beginnings = await new Breather().through(work, signal);
  const options = {
    ...drawingOf(request),
    n: request.n ?? 1,
    ...(max_tokens ? { max_tokens } : {}),
    ...(typeof logprobs === "number" ? { logprobs } : {}),
    ...(signal ? { signal } : {}),
  };
  const pieces = writeChoices(generator, beginnings, options);
  const prompt = beginnings.reduce((sum, { shown }) => sum + shown.length, 0);
  const tally: Tally = { prompt, drawn: 0 };
  const choices = written(generator, request, beginnings, pieces, tally, signal);
  const head: Head = { ...answered, object: "text_completion" };
  return stream
    ? { stream: chunks(head, choices, stream_options?.include_usage ? tally : undefined) }
    : { object: await whole(head, choices, tally) };
}

/** Of each choice what it begins with, if that is asked for, what is drawn, a token at a time, and by itself why it ends. */
async function* written(
  generator: Generator,
  request: CompletionRequest,
  beginnings: readonly Beginning[],
  pieces: AsyncIterable<Piece>,
  tally: Tally,
  signal?: AbortSignal,
): AsyncGenerator<CompletionChunkChoice> {
  const { tokenizer } = generator.model;
  const { echo, logprobs: most, max_tokens } = request;
  const n = request.n ?? 1;
  const places: TokenPlaces[] = [];
  for (const [p, beginning] of beginnings.entries()) {
    const { shown } = beginning;
    const text = echo ? new TextStream(tokenizer).push(shown) : "";
    const tells = echo && typeof most === "number";
    const logprobs = tells ? await promptLogprobs(generator, beginning, most, signal) : null;
    for (let i = 0; i < n; i++) {
      const index = p * n + i;
      places.push(new TokenPlaces(tokenizer, shown, countCharacters(text)));
      if (max_tokens === 0) yield { index, text, logprobs, finish_reason: "length" };
      else if (echo) yield { index, text, logprobs, finish_reason: null };
    }
  }
  if (max_tokens === 0) return;
  for await (const { index, text, token, finish_reason } of pieces) {
    tally.drawn++;
    const logprobs = token ? places[index].of(token.id, token) : null;
    if (text !== "" || logprobs) yield { index, text, logprobs, finish_reason: null };
    if (finish_reason) yield { index, text: "", logprobs: null, finish_reason };
  }
}

async function whole(
  head: Head,
  written: AsyncIterable<CompletionChunkChoice>,
  tally: Tally,
): Promise<Completion> {
  const choices: CompletionChoice[] = [];
  for await (const { index, text, logprobs, finish_reason } of written) {
    const choice = (choices[index] ??= { index, text: "", logprobs: null, finish_reason: "stop" });
    choice.text += text;
    if (logprobs) append((choice.logprobs ??= joined([])), logprobs);
    if (finish_reason) choice.finish_reason = finish_reason;
  }
  return { ...head, choices, usage: usageOf(tally) };
}

async function* chunks(
  head: Head,
  written: AsyncIterable<CompletionChunkChoice>,
  tally: Tally | undefined,
): AsyncGenerator<CompletionChunk> {
  const none = tally ? { usage: null } : {};
  for await (const choice of written) yield { ...head, choices: [choice], ...none };
  if (tally) yield { ...head, choices: [], usage: usageOf(tally) };
}
