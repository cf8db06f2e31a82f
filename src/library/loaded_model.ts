// A model in this thread that writes: the device is readied for the first text.

import type { Answer } from "../api/answer.ts";
import { Service } from "../api/service.ts";
import type { DeviceChoice } from "../device/choose.ts";
import { either } from "../either.ts";
import { UserError } from "../errors.ts";
import type { Model } from "../files/model_files.ts";
import { Generator, type SamplingOptions } from "../generation/from_model.ts";
import type { PieceEvent, SampleEvent } from "../generation/generate.ts";
import { checkedSampling, writing } from "./options.ts";
import type { ChatCompletions, Completions, CreateOptions, Writer } from "./writer.ts";

interface Opened {
  generator: Generator;
  service: Service;
}

/** A model, and what writes with it. */
export class LoadedModel implements Model, Writer {
  readonly config: Model["config"];
  readonly tokenizer: Model["tokenizer"];
  readonly step: Model["step"];
  readonly layout: Model["layout"];
  readonly values: Model["values"];
  private readonly device: DeviceChoice;
  private readonly name: string;
  private opened: Promise<Opened> | undefined;
  private readonly closing = new AbortController();

  /** @param name of the model in what {@link completions} give */
  constructor(model: Model, device: DeviceChoice, name: string) {
    this.config = model.config;
    this.tokenizer = model.tokenizer;
    this.step = model.step;
    this.layout = model.layout;
    this.values = model.values;
    this.device = device;
    this.name = name;
  }

  async *generate(options: Partial<SamplingOptions> = {}): AsyncGenerator<SampleEvent> {
    for await (const event of this.write(options)) if (event.type === "sample") yield event;
  }

  async *stream(options: Partial<SamplingOptions> = {}): AsyncGenerator<PieceEvent> {
    const events = this.write({ num_samples: 1, ...options });
    for await (const event of events) if (event.type === "piece") yield event;
  }

  readonly completions: Completions = {
    create: ((request: unknown, options?: CreateOptions) =>
      this.create("completions", request, options)) as Completions["create"],
  };

  readonly chat: { readonly completions: ChatCompletions } = {
    completions: {
      create: ((request: unknown, options?: CreateOptions) =>
        this.create("chatCompletions", request, options)) as ChatCompletions["create"],
    },
  };

  async close(): Promise<void> {
    this.closing.abort(closed());
    const { opened } = this;
    this.opened = undefined;
    const open = await opened?.catch(() => undefined); // told already to who waits for it
    open?.generator.close();
  }

  private async *write(options: Partial<SamplingOptions>) {
    const sampling = checkedSampling(this, options, writing);
    const { generator } = await this.open();
    const signal = this.orClosing(options.signal);
    yield* generator.write({ ...sampling, signal });
    this.closing.signal.throwIfAborted();
  }

  private async create(
    kind: "completions" | "chatCompletions",
    request: unknown,
    { signal }: CreateOptions = {},
  ): Promise<unknown> {
    const { service } = await this.open();
    const answer: Answer<unknown, unknown> = await service[kind](request, this.orClosing(signal));
    return "stream" in answer ? answer.stream : answer.object;
  }

  private open(): Promise<Opened> {
    this.closing.signal.throwIfAborted();
    this.opened ??= this.begin().catch((error: unknown) => {
      this.opened = undefined; // the next one may try again
      throw error;
    });
    return this.opened;
  }

  private async begin(): Promise<Opened> {
    const generator = await Generator.open(this, this.device);
    return { generator, service: new Service(generator, { model: this.name }) };
  }

  private orClosing(signal?: AbortSignal): AbortSignal {
    return either(signal, this.closing.signal);
  }
}

export function closed(): UserError {
  return new UserError("The model is closed, so that it writes no more; load it again.");
}
