// Texts that a model writes, each from its beginning to its end.

import { isChat, isRope, isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import { either } from "../either.ts";
import { type EngineConfig, isLikeMicrogpt } from "../model/engines.ts";
import { PythonRandom } from "../random.ts";
import { chatIds, chatText, promptTokens } from "../text/chat.ts";
import { encodePrompt } from "../tokenizer/prompt.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Draw, draw, type DrawnToken, type DrawOptions } from "./draw.ts";
import { inOrder } from "./in_order.ts";
import { droppedOf } from "./window.ts";

/** A text that the model wrote. */
export interface SampleEvent {
  type: "sample";
  /** From 1. */
  index: number;
  text: string;
  /** Those after the prompt, with that which ended the text; where `logprobs` were asked for. */
  tokens?: DrawnToken[];
}

/** What was just added to a text: its prompt, then token by token. */
export interface PieceEvent {
  type: "piece";
  /** Of the sample that it is a piece of. */
  index: number;
  text: string;
}

/** How texts are drawn. */
export type Sampling = Pick<
  Config,
  "num_samples" | "temperature" | "top_k" | "top_p" | "min_p" | "repetition_penalty" | "max_tokens"
>;

/** The settings that say how. */
export const samplingNames = Object.keys({
  num_samples: true,
  temperature: true,
  top_k: true,
  top_p: true,
  min_p: true,
  repetition_penalty: true,
  max_tokens: true,
} satisfies Record<keyof Sampling, true>) as (keyof Sampling)[];

/** Those of a model, or of a command. */
export function samplingOf(config: Sampling): Sampling {
  return Object.fromEntries(samplingNames.map((name) => [name, config[name]])) as Sampling;
}

/** What texts are drawn from: all of them from one stream of numbers, or each, counted from 1, from one of its own. */
export type Randoms = PythonRandom | ((index: number) => PythonRandom);

/**
 * The texts of a model that is like microgpt follow one another on one stream, as microgpt's do. Of any other model text
 * i of seed s is text 1 of seed s + i - 1, so that they can be written at the same time.
 * @param seed undefined for that of the config, and for its stream as it is
 */
export function randomsOf(
  config: EngineConfig & Pick<Config, "seed">,
  seed?: number,
  stream?: PythonRandom,
): Randoms {
  const first = seed ?? config.seed;
  if (!isLikeMicrogpt(config)) return (index) => new PythonRandom((first + index - 1) % 2 ** 53);
  return seed === undefined && stream ? stream : new PythonRandom(first);
}

/** Texts that are begun at the same time at most. */
const TOGETHER = 64;

/** Of so many texts those that a model writes at the same time. */
export function textsTogether(config: EngineConfig, num_samples: number): number {
  return isLikeMicrogpt(config) ? 1 : Math.min(num_samples, TOGETHER);
}

export interface GenerateOptions
  extends
    Sampling,
    DrawOptions,
    Pick<Config, "format" | "block_size">,
    Pick<Draw, "tokenizer" | "decode"> {
  random: Randoms;
  /**
   * Text that every sample begins with; of one that is longer than the context the model sees the end. To a model of
   * conversations it is what the user says.
   */
  prompt?: string;
  /** What users say where there is no prompt, one after the other. */
  questions?: readonly string[];
  /** Once aborted, no further token is drawn. */
  signal?: AbortSignal;
  /** What a text gives, where texts of others are written too. */
  inTurn?<T, R>(text: AsyncGenerator<T, R>, signal: AbortSignal): AsyncGenerator<T, R>;
}

/** The texts of write() alone. */
export async function* generate(options: GenerateOptions): AsyncGenerator<SampleEvent> {
  for await (const event of write(options)) if (event.type === "sample") yield event;
}

/**
 * Texts, piece by piece as they are written, and each as a whole at its end. Documents start at BOS and stop at BOS,
 * as in microgpt. A model of a stream has never seen BOS: it writes on after its starting token, which is not shown,
 * and never draws BOS. A model of conversations answers a user, up to the end of its turn; its special tokens are shown
 * by their names. Each writes max_tokens tokens at most; beyond the context the oldest are forgotten, as window.ts says.
 * @throws UnknownCharacterError if the prompt has a character that the tokenizer has no id for
 */
export async function* write(options: GenerateOptions): AsyncGenerator<PieceEvent | SampleEvent> {
  const { num_samples, tokenizer, random, inTurn = (text) => text } = options;
  encodePrompt(tokenizer, options.prompt ?? ""); // what it does not know is told
  const together = random instanceof PythonRandom ? 1 : TOGETHER;
  yield* inOrder(num_samples, together, (i, unwanted) => {
    const signal = either(options.signal, unwanted);
    return inTurn(writeOne(i + 1, { ...options, signal }), signal);
  });
}

/** The events of one of the texts; false where it is given up. */
async function* writeOne(
  index: number,
  options: GenerateOptions,
): AsyncGenerator<PieceEvent | SampleEvent, boolean> {
  const { tokenizer, questions = [], random } = options;
  const talks = isChat(options.format);
  const ends = endsOf(options);
  const said = options.prompt || questions[(index - 1) % questions.length] || "";
  const tokens = startOf(options, said);
  const prompt = tokens.slice(1);
  const stream = new TextStream(tokenizer);
  let text = talks ? chatText(tokenizer, prompt) : stream.push(prompt);
  if (text !== "") yield { type: "piece", index, text };
  let whole = false;
  const told: DrawnToken[] = [];
  const drawing = {
    ...options,
    random: random instanceof PythonRandom ? random : random(index),
    max_tokens: tokensToWrite(options, prompt.length),
    ends,
    keeps_first: !isStream(options.format),
  };
  for await (const drawn of draw(tokens, stream, drawing)) {
    const shown = talks && ends.includes(drawn.id) ? chatText(tokenizer, [drawn.id]) : "";
    const piece = drawn.text + shown;
    if (piece !== "") yield { type: "piece", index, text: piece };
    text += piece;
    if (drawn.logprob) told.push(drawn.logprob);
    whole = drawn.finish_reason !== undefined;
  }
  if (!whole) return false;
  const about = options.logprobs === undefined ? {} : { tokens: told };
  yield { type: "sample", index, text, ...about };
  return true;
}

/** The tokens that a text begins with, the first one of which is not shown. */
function startOf(
  { format, tokenizer }: Pick<GenerateOptions, "format" | "tokenizer">,
  prompt: string,
): number[] {
  if (isChat(format)) return promptTokens(tokenizer, prompt);
  return [isStream(format) ? tokenizer.start : tokenizer.bos, ...tokenizer.encode(prompt)];
}

/** The tokens that end a text. */
export function endsOf({
  format,
  tokenizer,
}: Pick<GenerateOptions, "format" | "tokenizer">): number[] {
  if (isStream(format)) return [];
  return isChat(format) ? endsOfTurn(tokenizer) : [tokenizer.bos];
}

/** The tokens that end what the assistant says. */
export function endsOfTurn(tokenizer: Tokenizer): number[] {
  return [tokenizer.bos, chatIds(tokenizer).end_turn];
}

/**
 * Tokens that a text gets after its prompt at most: max_tokens, and where that is 0 as many as fill the context, which
 * a prompt that fills it alone has no part in.
 */
export function tokensToWrite(
  { block_size, max_tokens }: Pick<Config, "block_size" | "max_tokens">,
  prompt: number,
): number {
  if (max_tokens > 0) return max_tokens;
  return prompt < block_size ? block_size - prompt : block_size;
}

/**
 * What whoever asks for texts should know about their length, a sentence each.
 * @param prompt number of its tokens
 */
export function lengthNotes(
  options: Pick<Config, "format" | "block_size" | "max_tokens" | "position">,
  prompt: number,
): string[] {
  const { format, block_size, position } = options;
  const notes: string[] = [];
  const keeps_first = !isStream(format);
  const room = block_size - Number(keeps_first); // beside BOS
  if (prompt > room) {
    const length = prompt + 1;
    const seen = length - droppedOf(length, { block_size, keeps_first }) - Number(keeps_first);
    notes.push(
      `The prompt has ${prompt} tokens, and the context holds ${room} of them: the model sees the last ${seen}.`,
    );
  }
  if (prompt + tokensToWrite(options, prompt) > block_size) {
    const [positions, stay] = isRope(position)
      ? [`It is trained on ${block_size} positions alone`, "the others move up as they were read"]
      : [
          `Its ${block_size} positions are learned and there are no more`,
          "the others are read anew at the first ones",
        ];
    const meaning = keeps_first
      ? "and of no document has it learnt what comes so late, so it guesses"
      : "as it saw windows from anywhere in the text when it was trained";
    notes.push(
      `A text may grow longer than the context. ${positions}, so whenever they are full the oldest quarter is forgotten ` +
        `and ${stay}, ${meaning}.`,
    );
  }
  return notes;
}
