// What a text goes on from: the tokens that the model sees, and which ones end what follows. What is said may be long, and
// becomes tokens a part at a time, so that the event loop can be left free between them.

import { isChat, isStream } from "../choices.ts";
import { ConversationError } from "../errors.ts";
import type { Config } from "../config.ts";
import type { Model } from "../files/model_files.ts";
import type { Conversation } from "../text/conversation.ts";
import { encodingPrompt } from "../tokenizer/prompt.ts";
import { fitting } from "./answer.ts";
import type { Continuation } from "./decoder.ts";
import { endsOf, endsOfTurn, tokensToWrite } from "./generate.ts";

export interface Beginning extends Pick<Continuation, "tokens" | "ends" | "keeps_first"> {
  /** Those of `tokens` that the text goes on after, as far as it is shown. */
  shown: readonly number[];
  /** Tokens that may follow at most. */
  room: number;
  /** And as many do where nothing else is asked for. */
  usual: number;
  /** Oldest turns that the model does not see. */
  num_left_out: number;
}

/**
 * A text, or the ids of one, which may be those of special tokens.
 * @throws UnknownCharacterError if the text has a character that the model has never seen
 */
export function* beginningText(
  { config, tokenizer }: Pick<Model, "config" | "tokenizer">,
  prompt: string | readonly number[],
): Generator<void, Beginning> {
  const { format } = config;
  const ids = typeof prompt === "string" ? yield* encodingPrompt(tokenizer, prompt) : prompt;
  const first = isStream(format) ? tokenizer.start : tokenizer.bos;
  const begins = !isStream(format) && ids[0] === first;
  return {
    tokens: begins ? ids : [first, ...ids],
    shown: ids,
    ends: endsOf({ format, tokenizer }),
    keeps_first: !isStream(format),
    room: Infinity,
    usual: tokensToWrite(config, ids.length),
    num_left_out: 0,
  };
}

/**
 * A conversation, up to where the assistant begins to speak.
 * @param most tokens of its answer, which are kept free: a quarter of the context at the most; the model's own setting
 *   where absent
 * @throws ConversationError or UnknownCharacterError if the model cannot answer it
 */
export function* beginningAnswer(
  { config, tokenizer }: Pick<Model, "config" | "tokenizer">,
  messages: Conversation,
  most = config.max_tokens || Infinity,
): Generator<void, Beginning> {
  checkTalks(config);
  const { block_size } = config;
  const { tokens, num_left_out } = yield* fitting(messages, tokenizer, block_size, most);
  // The token after a full context is the last one: nothing is drawn from what the model has never seen.
  const room = block_size + 1 - tokens.length;
  return {
    tokens,
    shown: [],
    ends: endsOfTurn(tokenizer),
    keeps_first: true,
    room,
    usual: Math.min(most, room),
    num_left_out,
  };
}

/** @throws ConversationError if a model is none of conversations */
export function checkTalks({ format }: Pick<Config, "format">): void {
  if (isChat(format)) return;
  throw new ConversationError(
    `The model was not trained on conversations, so it answers nobody: train one with format chat.`,
  );
}
