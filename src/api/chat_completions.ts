// The assistant's next turn: a request of /v1/chat/completions to its object, or to the chunks of its stream.

import { RequestError } from "../errors.ts";
import { beginningAnswer } from "../generation/beginning.ts";
import type { DrawnToken, TokenLogprob } from "../generation/draw.ts";
import type { Generator } from "../generation/from_model.ts";
import { Breather } from "../platform/breather.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Answer, type Tally, usageOf } from "./answer.ts";
import { drawingOf, type Piece, writeChoices } from "./choices.ts";
import { conversationOf } from "./conversation.ts";
import type {
  Answered,
  ChatCompletion,
  ChatCompletionChoice,
  ChatCompletionChunk,
  ChatCompletionChunkChoice,
  ChatLogprobs,
  ChatTokenLogprob,
} from "./objects.ts";
import type { ChatCompletionRequest } from "./requests.ts";

/** @throws RequestError, or what the model cannot answer, before anything is drawn */
export async function answerChat(
  generator: Generator,
  request: ChatCompletionRequest,
  answered: Answered,
  signal?: AbortSignal,
): Promise<Answer<ChatCompletion, ChatCompletionChunk>> {
  const { model } = generator;
  const max_tokens = mostOf(request);
  const messages = conversationOf(request.messages);
  const work = beginningAnswer(model, messages, max_tokens);
  const beginning = await new Breather().through(work, signal);
  const n = request.n ?? 1;
  const options = {
    ...drawingOf(request),
    n,
    ...(max_tokens ? { max_tokens } : {}),
    ...(request.logprobs ? { logprobs: request.top_logprobs ?? 0 } : {}),
    ...(signal ? { signal } : {}),
  };
  const pieces = writeChoices(generator, [beginning], options);
  const tally: Tally = { prompt: beginning.tokens.length, drawn: 0 };
  const written = counted(pieces, tally);
  if (!request.stream) {
    return { object: await whole(answered, written, tally, model.tokenizer) };
  }
  const usage = request.stream_options?.include_usage ? tally : undefined;
  return { stream: chunks(answered, written, n, usage, model.tokenizer) };
}

function mostOf(request: ChatCompletionRequest): number | undefined {
  const { max_tokens, max_completion_tokens, logprobs, top_logprobs } = request;
  if (max_tokens && max_completion_tokens && max_tokens !== max_completion_tokens) {
    throw new RequestError(
      `max_tokens is ${max_tokens}, but max_completion_tokens ${max_completion_tokens}; they are one thing: give the latter.`,
      { param: "max_completion_tokens", code: "invalid_value" },
    );
  }
  if (top_logprobs && !logprobs) {
    throw new RequestError(
      `top_logprobs is ${top_logprobs}, but logprobs is not true; it must be, or leave top_logprobs out.`,
      { param: "top_logprobs", code: "invalid_value" },
    );
  }
  return max_completion_tokens ?? max_tokens ?? undefined;
}

async function* counted(pieces: AsyncIterable<Piece>, tally: Tally): AsyncGenerator<Piece> {
  for await (const piece of pieces) {
    tally.drawn++;
    yield piece;
  }
}

async function whole(
  answered: Answered,
  pieces: AsyncIterable<Piece>,
  tally: Tally,
  tokenizer: Tokenizer,
): Promise<ChatCompletion> {
  const choices: ChatCompletionChoice[] = [];
  for await (const { index, text, token, finish_reason } of pieces) {
    const choice = (choices[index] ??= {
      index,
      message: { role: "assistant", content: "", refusal: null },
      logprobs: null,
      finish_reason: "stop",
    });
    choice.message.content += text;
    if (token) {
      choice.logprobs ??= { content: [], refusal: null };
      choice.logprobs.content.push(...logprobsOf(tokenizer, token).content);
    }
    if (finish_reason) choice.finish_reason = finish_reason;
  }
  return { ...answered, object: "chat.completion", choices, usage: usageOf(tally) };
}

/** First of all the role of each choice; at the end of each, after what it ends with, an empty delta says why. */
async function* chunks(
  answered: Answered,
  pieces: AsyncIterable<Piece>,
  n: number,
  tally: Tally | undefined,
  tokenizer: Tokenizer,
): AsyncGenerator<ChatCompletionChunk> {
  const head = { ...answered, object: "chat.completion.chunk" } as const;
  const chunk = (choice: ChatCompletionChunkChoice): ChatCompletionChunk => ({
    ...head,
    choices: [choice],
    ...(tally ? { usage: null } : {}),
  });
  for (let index = 0; index < n; index++) {
    const delta = { role: "assistant", content: "" } as const;
    yield chunk({ index, delta, logprobs: null, finish_reason: null });
  }
  for await (const { index, text, token, finish_reason } of pieces) {
    if (text !== "" || token) {
      const logprobs = token ? logprobsOf(tokenizer, token) : null;
      yield chunk({ index, delta: { content: text }, logprobs, finish_reason: null });
    }
    if (finish_reason) yield chunk({ index, delta: {}, logprobs: null, finish_reason });
  }
  if (tally) yield { ...head, choices: [], usage: usageOf(tally) };
}

function logprobsOf(tokenizer: Tokenizer, drawn: DrawnToken): ChatLogprobs {
  const special = new Set(tokenizer.special.values());
  const of = ({ id, token, logprob }: TokenLogprob): ChatTokenLogprob => ({
    token,
    bytes: special.has(id) ? null : [...tokenizer.bytes(id)],
    logprob,
  });
  const top_logprobs = drawn.top_logprobs.map(of);
  return { content: [{ ...of(drawn), top_logprobs }], refusal: null };
}
