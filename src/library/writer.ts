// A model that writes: its device stays open from one text to the next.

import type {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
} from "../api/objects.ts";
import type { ChatCompletionRequest, CompletionRequest } from "../api/requests.ts";
import type { SamplingOptions } from "../generation/from_model.ts";
import type { PieceEvent, SampleEvent } from "../generation/generate.ts";

/** What may be said of a request beside its fields. */
export interface CreateOptions {
  /** Once aborted, no further token is drawn, and what waits for one fails with its reason. */
  signal?: AbortSignal;
}

/** OpenAI's `completions`: texts that go on from some. */
export interface Completions {
  /**
   * In pieces as they are drawn.
   * @throws RequestError if the request is none that the model can answer
   */
  create(
    request: CompletionRequest & { stream: true },
    options?: CreateOptions,
  ): Promise<AsyncIterable<CompletionChunk>>;
  /** The same as a whole. */
  create(
    request: CompletionRequest & { stream?: false | null },
    options?: CreateOptions,
  ): Promise<Completion>;
  /** Either, as the request says. */
  create(
    request: CompletionRequest,
    options?: CreateOptions,
  ): Promise<Completion | AsyncIterable<CompletionChunk>>;
}

/** OpenAI's `chat.completions`: the assistant's next turn. */
export interface ChatCompletions {
  /**
   * In pieces as they are drawn.
   * @throws RequestError if the request is none that the model can answer
   */
  create(
    request: ChatCompletionRequest & { stream: true },
    options?: CreateOptions,
  ): Promise<AsyncIterable<ChatCompletionChunk>>;
  /** The same as a whole. */
  create(
    request: ChatCompletionRequest & { stream?: false | null },
    options?: CreateOptions,
  ): Promise<ChatCompletion>;
  /** Either, as the request says. */
  create(
    request: ChatCompletionRequest,
    options?: CreateOptions,
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
}

/** Writes with a model, in this thread or in a worker. */
export interface Writer {
  /**
   * Texts, the same ones for the same seed; what is absent is as the model's own settings have it.
   * @throws ConfigError if an option is unknown or has a value that it cannot have
   * @throws UnknownCharacterError if the prompt has a character that the model has never seen
   */
  generate(options?: Partial<SamplingOptions>): AsyncGenerator<SampleEvent>;
  /** The same piece by piece as they are drawn, the prompt first; one text where num_samples is absent. */
  stream(options?: Partial<SamplingOptions>): AsyncGenerator<PieceEvent>;
  /** As in OpenAI's library. */
  readonly completions: Completions;
  /** As in OpenAI's library; of a model that was trained on conversations. */
  readonly chat: { readonly completions: ChatCompletions };
  /** Gives back all that it holds on the device; what it is writing ends. */
  close(): Promise<void>;
}
