// What the routes of a server share: the model, the queue before it, what is counted, and how far the server is with
// its own life.

import type { ServerResponse } from "node:http";
import type { Device } from "../../src/device/device.ts";
import { GpuError } from "../../src/errors.ts";
import type { Generator } from "../../src/generation/from_model.ts";
import { type Exchange, exchangeOf } from "./exchange.ts";
import { Job } from "./job.ts";
import { Counter, Gauge, Histogram, metricsText } from "./metrics.ts";
import { Problem } from "./problem.ts";
import { Queue } from "./queue.ts";
import { until } from "./until.ts";

export interface ServingOptions {
  /** Name of the model, for clients. */
  model: string;
  /** Of this package. */
  version: string;
  max_queue: number;
  timeout_s: number;
}

/** From its start to its end. */
export type Phase = "loading" | "ready" | "draining" | "failed";

/** How often a device that nothing is asked of is looked after, in ms. */
const LOOK_MS = 2000;

/** Seconds after which a client should try again that comes at a bad time. */
const SOON = 5;

export class Serving {
  readonly options: ServingOptions;
  readonly metrics: ReturnType<Serving["count"]>;
  private readonly failures: ((error: Error) => void)[] = [];
  private readonly jobs = new Set<Job>();
  private queue: Queue;
  private opened: Generator | undefined;
  /** Requests that are not over. */
  unanswered = 0;
  private current: Phase = "loading";
  private looks: NodeJS.Timeout | undefined;

  constructor(options: ServingOptions) {
    this.options = options;
    this.queue = new Queue(1, options.max_queue);
    this.metrics = this.count();
  }

  get phase(): Phase {
    return this.current;
  }

  /** From now on requests are answered. */
  open(generator: Generator, slots: number): void {
    this.opened = generator;
    this.queue = new Queue(slots, this.options.max_queue);
    if (this.current === "loading") this.current = "ready";
    if (generator.device) this.watch(generator.device);
  }

  /** A device that fails while it is idle would be found out by the next request. */
  private watch(device: Pick<Device, "failing" | "idle">): void {
    void device.failing.then((error) => this.failed(error));
    let looking = false;
    const look = async () => {
      if (looking || this.queue.running > 0) return;
      looking = true;
      await device.idle().catch((error: unknown) => this.failed(error));
      looking = false;
    };
    this.looks = setInterval(() => void look(), LOOK_MS).unref();
  }

  /** @throws Problem with status 503 where there is none, or soon will be none */
  get generator(): Generator {
    if (this.current === "ready" && this.opened !== undefined) return this.opened;
    throw Problem.busy(sentences[this.current], SOON);
  }

  /**
   * A place for a request's work, which has to end it.
   * @throws Problem with status 503 if there is none
   */
  begin(outgoing: ServerResponse): Job {
    void this.generator; // or there is nothing to wait for
    const exchange = exchangeOf(outgoing);
    const job = new Job({
      place: this.queue.take(),
      exchange,
      timeout_s: this.options.timeout_s,
      over: () => this.jobs.delete(job),
    });
    this.jobs.add(job);
    const left = () => {
      if (!outgoing.writableFinished) job.stop("the client left");
    };
    outgoing.once("close", left);
    if (outgoing.closed) left();
    return job;
  }

  /** A request is over. @param status what was sent; 0 if nothing was */
  record({ route = "other", at, first_token, tokens }: Exchange, status: number): void {
    const { requests, duration, first, written } = this.metrics;
    requests.add({ route, status });
    if (tokens === undefined) return;
    written.add({}, tokens);
    duration.observe((performance.now() - at) / 1000);
    if (first_token !== undefined) first.observe(first_token / 1000);
  }

  /**
   * No further requests are taken; those that there are end by themselves, or after a while as they are.
   * @returns how many were ended so
   */
  async drain(patience_ms: number): Promise<number> {
    if (this.current !== "failed") this.current = "draining";
    clearInterval(this.looks);
    await until(() => this.jobs.size === 0, patience_ms);
    const { size } = this.jobs;
    for (const job of this.jobs) {
      job.stop(
        "the server stopped",
        new Problem(503, sentences.draining, { code: "shutting_down" }),
      );
    }
    return size;
  }

  /** What went wrong with a request, where that is the end of all of them. */
  failed(error: unknown): void {
    if (!(error instanceof GpuError) || this.current === "failed") return;
    this.current = "failed";
    for (const listener of this.failures) listener(error);
  }

  /** Rejects where the model can answer no more. */
  failure(): Promise<never> {
    return new Promise((_, reject) => this.failures.push(reject));
  }

  metricsText(): string {
    return metricsText(Object.values(this.metrics));
  }

  private count() {
    const { version, model } = this.options;
    const name = (name: string) => `microgpt_${name}`;
    return {
      info: new Gauge(name("info"), "The program and its model.", () => 1, { version, model }),
      requests: new Counter(name("requests_total"), "Requests that are over, by route and status."),
      written: new Counter(name("tokens_total"), "Tokens that were written."),
      running: new Gauge(
        name("texts_running"),
        "Texts that are being written.",
        () => this.queue.running,
      ),
      waiting: new Gauge(
        name("requests_waiting"),
        "Requests that wait for their first turn.",
        () => this.queue.waiting,
      ),
      slots: new Gauge(
        name("slots"),
        "Texts that are written at once, at most.",
        () => this.queue.slots,
      ),
      first: new Histogram(name("first_token_seconds"), "From a request to its first token."),
      duration: new Histogram(name("request_seconds"), "From a request to the end of its answer."),
      memory: new Gauge(name("resident_memory_bytes"), "Main memory of the process.", () =>
        process.memoryUsage.rss(),
      ),
      uptime: new Gauge(name("uptime_seconds"), "Since the process was started.", () =>
        process.uptime(),
      ),
    };
  }
}

const sentences: Record<Phase, string> = {
  loading: "The server is loading its model; come back in a moment.",
  ready: "The server has no model.",
  draining: "The server is about to stop.",
  failed: "The server's device failed, and it is about to stop.",
};
