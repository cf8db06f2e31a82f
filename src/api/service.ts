// A model as OpenAI's interface has it: from the body of a request to the object that answers it, or a stream of them.

import { ConfigError, ConversationError, RequestError, UnknownCharacterError } from "../errors.ts";
import { fnv, FNV_START, hex } from "../fnv.ts";
import type { Model } from "../files/model_files.ts";
import type { Generator } from "../generation/from_model.ts";
import type { Sampling } from "../generation/generate.ts";
import { isObject, show } from "../strict_json.ts";
import type { Answer } from "./answer.ts";
import { answerChat } from "./chat_completions.ts";
import { complete } from "./completions.ts";
import { conversationOf } from "./conversation.ts";
import { answerFields, type RequestKind, requestSchemas, samplesFields } from "./fields.ts";
import { newId } from "./id.ts";
import type {
  Answered,
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  ModelList,
  ResponseEvent,
  ResponseObject,
} from "./objects.ts";
import type {
  AnswerRequest,
  ChatCompletionRequest,
  CompletionRequest,
  ResponseRequest,
  SamplesRequest,
} from "./requests.ts";
import { respond } from "./responses.ts";
import { checkValue, type Schema } from "./schema.ts";

export interface ServiceOptions {
  /** The model's name. */
  model: string;
  /** When it was made, in seconds since 1970; now where absent. */
  created?: number;
}

export class Service {
  private readonly generator: Generator;
  private readonly model: string;
  private readonly created: number;
  private readonly fingerprint: string;

  constructor(generator: Generator, { model, created = now() }: ServiceOptions) {
    this.generator = generator;
    this.model = model;
    this.created = created;
    this.fingerprint = fingerprintOf(generator.model);
  }

  /** The same, written by another generator of the model: one that waits for its turn. */
  by(generator: Generator): Service {
    return Object.assign(Object.create(this), { generator });
  }

  /** GET /v1/models */
  models(): ModelList {
    const { model: id, created } = this;
    return {
      object: "list",
      data: [{ id, object: "model", created, owned_by: "microgpt-webgpu" }],
    };
  }

  /**
   * POST /v1/completions. Of this and the next three: what is wrong is told before anything is drawn.
   * @throws RequestError if the body is no such request, or the model cannot answer it
   * @throws GpuError if the device fails
   * @throws the signal's reason, where it is aborted before the answer is whole
   */
  completions(body: unknown, signal?: AbortSignal): Promise<Answer<Completion, CompletionChunk>> {
    return this.answered("completions", "cmpl-", body, (request: CompletionRequest, answered) =>
      complete(this.generator, request, answered, signal),
    );
  }

  /** POST /v1/chat/completions */
  chatCompletions(
    body: unknown,
    signal?: AbortSignal,
  ): Promise<Answer<ChatCompletion, ChatCompletionChunk>> {
    return this.answered(
      "chatCompletions",
      "chatcmpl-",
      body,
      (request: ChatCompletionRequest, answered) =>
        answerChat(this.generator, request, answered, signal),
    );
  }

  /** POST /v1/responses */
  responses(body: unknown, signal?: AbortSignal): Promise<Answer<ResponseObject, ResponseEvent>> {
    return this.answered("responses", "resp_", body, (request: ResponseRequest, answered) =>
      respond(this.generator, request, answered, signal),
    );
  }

  /** POST /microgpt/v1/generate */
  samples(body: unknown, signal?: AbortSignal): Promise<{ object: { samples: string[] } }> {
    return this.answered("samples", "", body, async (request: SamplesRequest) => {
      const samples: string[] = [];
      const options = { num_samples: 1, ...ofSeeds(request, samplesFields), signal };
      for await (const { text } of this.generator.samples(options)) samples.push(text);
      signal?.throwIfAborted();
      return { object: { samples } };
    });
  }

  /** POST /microgpt/v1/chat */
  answer(
    body: unknown,
    signal?: AbortSignal,
  ): Promise<{ object: { role: "assistant"; content: string } }> {
    return this.answered("answer", "", body, async (request: AnswerRequest) => {
      const { messages, ...others } = request;
      const options = { ...ofSeeds(others, answerFields), signal };
      for await (const event of this.generator.answer(conversationOf(messages), options)) {
        if (event.type === "piece") continue;
        return { object: { role: event.role, content: event.content } };
      }
      signal?.throwIfAborted();
      throw new Error("an answer has an end");
    });
  }

  private async answered<Request, T>(
    kind: RequestKind,
    prefix: string,
    body: unknown,
    answer: (request: Request, answered: Answered) => Promise<T>,
  ): Promise<T> {
    if (!isObject(body)) {
      throw new RequestError(`The body is ${show(body)}; it must be an object.`);
    }
    checkValue(requestSchemas[kind], body, "");
    const { model, fingerprint } = this;
    const id = newId(prefix);
    try {
      const about = { id, created: now(), model, system_fingerprint: fingerprint };
      return await answer(body as Request, about);
    } catch (error) {
      throw requestError(error, kind);
    }
  }
}

/** What a request of the first servers says, with their defaults. */
function ofSeeds(
  request: SamplesRequest,
  fields: Readonly<Record<string, Schema>>,
): { seed: number } & Partial<Pick<Sampling, "temperature" | "max_tokens">> {
  const said = Object.keys(fields).map((name) => {
    return [name, request[name as keyof SamplesRequest] ?? fields[name].default] as const;
  });
  return Object.fromEntries(said.filter(([, value]) => value !== undefined)) as { seed: number };
}

/** The field that holds what is said. */
const said: Record<RequestKind, string> = {
  completions: "prompt",
  chatCompletions: "messages",
  responses: "input",
  samples: "",
  answer: "messages",
};

/** What is the client's to mend, as the interface has it. */
function requestError(error: unknown, kind: RequestKind): unknown {
  if (error instanceof ConfigError) {
    return new RequestError(error.message, { param: error.setting, code: "invalid_value" });
  }
  if (error instanceof ConversationError || error instanceof UnknownCharacterError) {
    return new RequestError(error.message, { param: said[kind], code: "invalid_value" });
  }
  return error;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** Values of a model that its fingerprint is made of. */
const LOOKED_AT = 1024;

function fingerprintOf({ config, step, values }: Model): string {
  const every = Math.max(1, Math.floor(values.length / LOOKED_AT));
  const some = Array.from({ length: LOOKED_AT }, (_, i) => values[i * every] ?? 0);
  let hash = FNV_START;
  for (const char of JSON.stringify([config, step, some])) hash = fnv(hash, char.charCodeAt(0));
  return `fp_${hex(hash)}`;
}
