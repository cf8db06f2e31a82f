// A model in a worker that writes: what is asked of it is sent there, and what it answers comes back. The items of a
// stream come one at a time as they are asked for, so that a slow reader lets the text wait.

import { UserError } from "../errors.ts";
import type { SamplingOptions } from "../generation/from_model.ts";
import type { PieceEvent, SampleEvent } from "../generation/generate.ts";
import type { Bytes } from "./bytes.ts";
import { closed } from "./loaded_model.ts";
import type { Call, Failure, Question, Reply, Wanted, WorkerLike } from "./messages.ts";
import { received } from "./sent_error.ts";
import type { ChatCompletions, Completions, CreateOptions, Writer } from "./writer.ts";

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

export class RemoteWriter implements Writer {
  private readonly worker: WorkerLike;
  private readonly waiting = new Map<number, Waiting>();
  private calls = 0;
  /** Streams that are not over. */
  private readonly streams = new Set<number>();
  /** Of a stream that nobody holds any more, nobody asks for the end. */
  private readonly dropped = new FinalizationRegistry<number>((id) => this.drop(id));
  /** Why nothing can be asked any more. */
  private failure: Error | undefined;

  private constructor(worker: WorkerLike) {
    this.worker = worker;
    worker.addEventListener("message", (event) =>
      this.take((event as MessageEvent<Reply | Failure>).data),
    );
    worker.addEventListener("error", (event) => {
      const why = (event as ErrorEvent).message || "its module cannot be had";
      const sentence = `The worker stopped: ${why}. That of a worker is microgpt-webgpu/worker.`;
      this.fail(new UserError(sentence));
    });
  }

  static async load(
    worker: WorkerLike,
    from: string | Bytes,
    options: Wanted,
  ): Promise<RemoteWriter> {
    const writer = new RemoteWriter(worker);
    await writer.ask({ id: writer.newCall(), call: "load", from, options });
    return writer;
  }

  generate(options: Partial<SamplingOptions> = {}): AsyncGenerator<SampleEvent> {
    return this.events("generate", options);
  }

  stream(options: Partial<SamplingOptions> = {}): AsyncGenerator<PieceEvent> {
    return this.events("stream", options);
  }

  readonly completions: Completions = {
    create: ((request: unknown, options?: CreateOptions) =>
      this.call("completions", request, options?.signal)) as Completions["create"],
  };

  readonly chat: { readonly completions: ChatCompletions } = {
    completions: {
      create: ((request: unknown, options?: CreateOptions) =>
        this.call("chat", request, options?.signal)) as ChatCompletions["create"],
    },
  };

  async close(): Promise<void> {
    if (this.failure) return;
    const done = this.ask({ id: this.newCall(), call: "close" });
    this.failure = closed();
    await done;
    this.fail(this.failure);
  }

  /** Events until there are no more, or the signal is aborted. */
  private async *events<T>(
    call: Call,
    { signal, ...request }: Partial<SamplingOptions>,
  ): AsyncGenerator<T> {
    try {
      yield* (await this.call(call, request, signal)) as AsyncGenerator<T>;
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  }

  /** A value, or the items of a stream. */
  private async call(call: Call, request: unknown, signal?: AbortSignal): Promise<unknown> {
    const id = this.newCall();
    const reply = await this.ask({ id, call, request }, signal);
    if ("value" in reply) return reply.value;
    const items = this.items(id, signal);
    this.dropped.register(items, id);
    await items.next(); // from here on it can be left, though none is asked for
    return items;
  }

  /** Nothing at first, then the items. */
  private async *items(id: number, signal?: AbortSignal): AsyncGenerator<unknown> {
    this.streams.add(id);
    const leave = () => this.drop(id);
    signal?.addEventListener("abort", leave, { once: true });
    try {
      yield;
      while (this.streams.has(id)) {
        const reply = await this.ask({ id, next: true }, signal);
        if ("item" in reply) yield reply.item;
        else this.streams.delete(id);
      }
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener("abort", leave);
      leave();
    }
  }

  /** Leaves a stream that is not over. */
  private drop(id: number): void {
    if (this.streams.delete(id)) this.leave(id);
  }

  /** @throws the signal's reason once it is aborted */
  private ask(question: Question, signal?: AbortSignal): Promise<Reply> {
    const { id } = question;
    return new Promise<Reply>((resolve, reject) => {
      if (this.failure) throw this.failure;
      signal?.throwIfAborted();
      const abort = () => {
        this.leave(id);
        reject(signal!.reason);
      };
      const settle =
        <T>(end: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener("abort", abort);
          end(value);
        };
      signal?.addEventListener("abort", abort, { once: true });
      this.waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.worker.postMessage(question);
    });
  }

  private leave(id: number): void {
    this.waiting.delete(id);
    if (!this.failure) this.worker.postMessage({ id, leave: true } satisfies Question);
  }

  private take(reply: Reply | Failure): void {
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(received(reply.error));
    else waiting?.resolve(reply);
  }

  private fail(error: Error): void {
    this.failure = error;
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(error);
  }

  private newCall(): number {
    return ++this.calls;
  }
}
