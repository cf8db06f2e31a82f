// The assistant's next turn in a conversation. What does not fit the context beside it is left out, the oldest first.

import type { Config } from "../config.ts";
import { plural } from "../count.ts";
import { ConversationError } from "../errors.ts";
import { Breather } from "../platform/breather.ts";
import { chatIds, sayingTokens } from "../text/chat.ts";
import type { Conversation, Turn } from "../text/conversation.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Draw, draw, type DrawnToken, type FinishReason } from "./draw.ts";
import { endsOfTurn } from "./generate.ts";

/** What was just added to an answer. */
export interface AnswerPieceEvent {
  type: "piece";
  text: string;
}

/** What the assistant says, as a turn that the conversation can go on with. */
export interface AnswerEvent {
  type: "answer";
  role: "assistant";
  content: string;
  /** `length` where it had max_tokens, or the context was full. */
  finish_reason: FinishReason;
  /** Oldest turns that the model did not see, for there was no room for them. */
  num_left_out: number;
  /** Those of the answer, with that which ended it; where `logprobs` were asked for. */
  tokens?: DrawnToken[];
}

export interface AnswerOptions
  extends
    Omit<Draw, "keeps_first" | "ends" | "max_tokens">,
    Pick<Config, "block_size" | "max_tokens"> {}

/** Part of the context that is free for an answer, at least. */
const ROOM = 1 / 4;

/**
 * The answer to a conversation, piece by piece as it is drawn, and as a whole at its end, which an aborted one lacks.
 * A quarter of the context is kept free for it, or max_tokens if that is less.
 * @throws ConversationError if there is nothing to answer, the last turns are too long, or a turn is none that the model
 *   knows
 * @throws UnknownCharacterError if a turn has a character that the tokenizer has no id for
 */
export async function* answer(
  messages: Conversation,
  options: AnswerOptions,
): AsyncGenerator<AnswerPieceEvent | AnswerEvent> {
  const { tokenizer, block_size } = options;
  const most = options.max_tokens || Infinity;
  let beginning;
  try {
    const fitted = fitting(messages, tokenizer, block_size, most);
    beginning = await new Breather().through(fitted, options.signal);
  } catch (error) {
    if (options.signal?.aborted) return; // before it had begun
    throw error;
  }
  const { tokens, num_left_out } = beginning;
  // The token after a full context is the last one: nothing is drawn from what the model has never seen.
  const max_tokens = Math.min(most, block_size + 1 - tokens.length);
  const drawing = { ...options, max_tokens, ends: endsOfTurn(tokenizer), keeps_first: true };
  let content = "";
  const told: DrawnToken[] = [];
  for await (const drawn of draw(tokens, new TextStream(tokenizer), drawing)) {
    const { text, logprob, finish_reason } = drawn;
    if (text !== "") yield { type: "piece", text };
    content += text;
    if (logprob) told.push(logprob);
    if (finish_reason === undefined) continue;
    const about = options.logprobs === undefined ? {} : { tokens: told };
    yield { type: "answer", role: "assistant", content, finish_reason, num_left_out, ...about };
  }
}

/**
 * What the model sees before its answer: BOS, the system's turn, and as many of the last turns as there is room for,
 * from a user's on. A part at a time, so that the event loop can be left free between them.
 * @param most tokens of the answer
 */
export function* fitting(
  messages: Conversation,
  tokenizer: Tokenizer,
  block_size: number,
  most: number,
): Generator<void, { tokens: number[]; num_left_out: number }> {
  checkConversation(messages);
  const turns: number[][] = [];
  for (const turn of messages) {
    const content = turn.content.replace(/\r\n?/g, "\n"); // as in a training text
    turns.push(yield* sayingTokens(tokenizer, { ...turn, content }));
  }
  const num_kept = messages[0].role === "system" ? 1 : 0;
  const room = block_size + 1 - Math.min(most, Math.max(1, Math.floor(block_size * ROOM)));
  const isStart = (i: number) => i === num_kept || messages[i].role === "user";
  const starts = [...messages.keys()].slice(num_kept).filter(isStart);
  /** Tokens of all turns before each one. */
  const before = [0];
  for (const [i, { length }] of turns.entries()) before.push(before[i] + length);
  const size = (start: number) => 2 + before[num_kept] + before[turns.length] - before[start];
  const start = starts.find((start) => size(start) <= room);
  if (start === undefined) {
    const what = num_kept > 0 ? "The last message and the system's have" : "The last message has";
    throw new ConversationError(
      `${what} ${plural(size(starts.at(-1)!), "token")} with those around it, and of the context's ${block_size} there is ` +
        `room for ${room}, beside the answer; make it shorter.`,
    );
  }
  const seen = [...turns.slice(0, num_kept), ...turns.slice(start)];
  const tokens = [tokenizer.bos, ...seen.flat(), chatIds(tokenizer).role.assistant];
  return { tokens, num_left_out: start - num_kept };
}

const roles: Record<Turn["role"], true> = { system: true, user: true, assistant: true };

/** @throws ConversationError naming the first message that is wrong */
function checkConversation(messages: unknown): asserts messages is Conversation {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new ConversationError(
      `There is no message to answer; give a list of them, such as [{"role": "user", "content": "hello"}].`,
    );
  }
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as Partial<Turn>;
    const which = `Message ${i + 1}`;
    if (typeof role !== "string" || !Object.hasOwn(roles, role)) {
      const known = Object.keys(roles).join(" or ");
      throw new ConversationError(
        `${which} has the role ${JSON.stringify(role)}; it must be ${known}.`,
      );
    }
    if (typeof content !== "string") {
      throw new ConversationError(
        `${which} has the content ${JSON.stringify(content)}; it must be a text.`,
      );
    }
    if (role === "system" && i > 0) {
      throw new ConversationError(`${which} is the system's, which only the first may be.`);
    }
  }
  if (messages.at(-1).role !== "user") {
    throw new ConversationError(
      `The last message is the ${messages.at(-1).role}'s; it must be the user's, so that there is one to answer.`,
    );
  }
}
