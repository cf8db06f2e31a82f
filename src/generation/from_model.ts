// A saved model, ready to write texts on the device of one's choice.

import { isChat } from "../choices.ts";
import type { ConfigChoice } from "../config.ts";
import { type ChosenDevice, chooseDevice, type DeviceChoice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import type { Preparation } from "../device/prepare.ts";
import { ParameterLayout } from "../model/parameters.ts";
import { estimate, writingWork } from "../model/work.ts";
import { PythonRandom } from "../random.ts";
import { encodePrompt } from "../tokenizer/prompt.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import type { Model } from "../files/model_files.ts";
import type { Conversation } from "../text/conversation.ts";
import { answer, type AnswerEvent, type AnswerPieceEvent } from "./answer.ts";
import { type Beginning, checkTalks } from "./beginning.ts";
import { createDecoder } from "./choose_decoder.ts";
import { writingDtype, type WritingDtype } from "./choose_dtype.ts";
import { checkDrawOptions, draw, type Drawn, type DrawOptions } from "./draw.ts";
import {
  generate,
  type GenerateOptions,
  lengthNotes,
  randomsOf,
  type PieceEvent,
  type SampleEvent,
  type Sampling,
  samplingOf,
  write,
} from "./generate.ts";
import type { Decoder } from "./decoder.ts";

/** How the assistant answers; settings that are absent are the model's own. */
export interface AnsweringOptions extends Partial<Omit<Sampling, "num_samples">>, DrawOptions {
  seed: number;
  /** Once aborted, no further token is drawn. */
  signal?: AbortSignal;
}

/** How texts are written; settings that are absent are the model's own. What a seed means: randomsOf(). */
export interface SamplingOptions extends AnsweringOptions, Partial<Pick<Sampling, "num_samples">> {
  /** What every text begins with; of one that is longer than the context the model sees the end. */
  prompt?: string;
}

/** What a model is opened with; what is absent is told there. */
export interface Opening {
  /** Texts that are written at the same time at most; as many as the model's num_samples, but few. */
  num_slots?: number;
  /** Of weights, keys and values on a GPU; f32, by which the tokens are the CPU's. */
  dtype?: ConfigChoice["dtype"];
}

/** One of several who share a generator. */
export interface Sharer {
  /** Told of every token that is drawn for it, before its text is. */
  drawn(): void;
  /** What a text gives, from its turn on. @throws the signal's reason if that comes first */
  inTurn<T, R>(text: AsyncGenerator<T, R>, signal?: AbortSignal): AsyncGenerator<T, R>;
}

export class Generator {
  readonly model: Model;
  /** Undefined for the CPU. */
  readonly device: Device | undefined;
  private readonly decoder: Decoder;
  /** Of a shared one, whose texts these are. */
  private readonly sharer: Sharer | undefined;
  /** Why `auto` took the CPU; null where it did not. */
  readonly fallback: string | null;
  /** Why `auto` took the dtype that it did; null where it was asked for. */
  readonly dtype_reason: string | null;

  private constructor(
    model: Model,
    decoder: Decoder,
    { device, fallback, dtype_reason }: Pick<ChosenDevice, "device" | "fallback"> & WritingDtype,
  ) {
    this.model = model;
    this.device = device;
    this.decoder = decoder;
    this.fallback = fallback;
    this.dtype_reason = dtype_reason;
  }

  /**
   * @param progress told how far the device is with what it has to compile
   * @throws NoWebGpuError if `webgpu` was asked for and there is none
   * @throws ConfigError if dtype f16 was asked for and is not to be had, or a weight is too large for it
   */
  static async open(
    model: Model,
    choice: DeviceChoice,
    progress?: Preparation["progress"],
    { num_slots, dtype: wanted = "f32" }: Opening = {},
  ): Promise<Generator> {
    const { config, layout } = model;
    const { dims } = layout;
    const work = writingWork(dims, config.num_samples, config.block_size);
    const { device, fallback } = await chooseDevice(choice, estimate([work]));
    const flat = new ParameterLayout(dims);
    const params = layout.convert(model.values, flat, new Float64Array(flat.size));
    const chosen = await writingDtype(device, wanted, model);
    const { dtype } = chosen;
    const decoding = { progress, dtype, ...(num_slots !== undefined && { num_slots }) };
    const decoder = await createDecoder(device, config, dims, params, decoding);
    return new Generator(model, decoder, { device, fallback, ...chosen });
  }

  /** The same one, each text of which waits for its turn, and whose tokens are counted. */
  sharedBy(sharer: Sharer): Generator {
    const { decoder } = this;
    const counted: Decoder = {
      num_slots: decoder.num_slots,
      async *decode(continuation) {
        for await (const token of decoder.decode(continuation)) {
          sharer.drawn();
          yield token;
        }
      },
      score: (tokens, signal) => decoder.score(tokens, signal),
      destroy: () => decoder.destroy(),
    };
    return Object.assign(Object.create(this), { decoder: counted, sharer });
  }

  /** Texts that are written at the same time; others wait for their turn. */
  get num_slots(): number {
    return this.decoder.num_slots;
  }

  /**
   * Texts, the same ones for the same seed on every device.
   * @throws UnknownCharacterError if the prompt has a character that the model has never seen
   */
  samples(options: SamplingOptions): AsyncGenerator<SampleEvent> {
    return generate(this.prepare(options));
  }

  /** The same, piece by piece as they are written. */
  write(options: SamplingOptions): AsyncGenerator<PieceEvent | SampleEvent> {
    return write(this.prepare(options));
  }

  /**
   * The assistant's next turn in a conversation.
   * @throws ConversationError if the model is none of conversations, or cannot answer this one
   * @throws UnknownCharacterError if a message has a character that the model has never seen
   */
  answer(
    messages: Conversation,
    options: AnsweringOptions,
  ): AsyncGenerator<AnswerPieceEvent | AnswerEvent> {
    checkTalks(this.model.config);
    const random = new PythonRandom(options.seed);
    return this.inTurn(answer(messages, { ...this.prepare(options), random }), options.signal);
  }

  /**
   * What comes after a beginning, token by token; once the signal is aborted none is the last.
   * @throws ConfigError naming the first option that is wrong
   */
  complete(beginning: Beginning, options: AnsweringOptions): AsyncGenerator<Drawn> {
    const { tokens, shown, ends, keeps_first, room } = beginning;
    const prepared = this.prepare(options);
    const random = new PythonRandom(options.seed);
    const stream = new TextStream(this.model.tokenizer);
    stream.push(shown);
    const max_tokens = Math.min(options.max_tokens || Infinity, room);
    const drawn = draw(tokens, stream, { ...prepared, random, max_tokens, ends, keeps_first });
    return this.inTurn(drawn, options.signal);
  }

  /** Logits (V) of what follows each of a text's tokens, as Decoder.score() gives them. */
  score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<ArrayLike<number>> {
    return this.inTurn(this.decoder.score(tokens, signal), signal);
  }

  /** What is to be known about texts of such length, a sentence each. */
  notes({ prompt = "", max_tokens = 0 }: Pick<SamplingOptions, "prompt" | "max_tokens">): string[] {
    const { tokenizer, config } = this.model;
    const notes = lengthNotes({ ...config, max_tokens }, encodePrompt(tokenizer, prompt).length);
    if (isChat(config.format) && prompt === "") {
      notes.push(
        `It is a model of conversations: without a prompt it answers a user who says nothing.`,
      );
    }
    return notes;
  }

  private prepare({ seed, ...options }: SamplingOptions): GenerateOptions {
    const { tokenizer, config } = this.model;
    const { block_size, format } = config;
    checkDrawOptions(options, tokenizer);
    encodePrompt(tokenizer, options.prompt ?? ""); // what it does not know is told at once
    return {
      ...samplingOf(config),
      ...options,
      format,
      block_size,
      tokenizer,
      random: randomsOf(config, seed),
      decode: (continuation) => this.decoder.decode(continuation),
      inTurn: (text, signal) => this.inTurn(text, signal),
    };
  }

  private inTurn<T, R>(text: AsyncGenerator<T, R>, signal?: AbortSignal): AsyncGenerator<T, R> {
    return this.sharer ? this.sharer.inTurn(text, signal) : text;
  }

  /** Gives back all that it holds. */
  close(): void {
    this.decoder.destroy();
  }
}
