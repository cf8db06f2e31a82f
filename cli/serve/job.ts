// The work for one request: it waits for its turn, is counted, and ends where its time is up or nobody waits for it.

import type { Generator } from "../../src/generation/from_model.ts";
import type { Exchange } from "./exchange.ts";
import { Problem } from "./problem.ts";
import type { Place } from "./queue.ts";

export interface JobOptions {
  place: Place;
  exchange: Exchange;
  /** How long it may take, its wait included. */
  timeout_s: number;
  /** Called once, when it is over however it ended. */
  over(job: Job): void;
}

export class Job {
  private readonly options: JobOptions;
  private readonly controller = new AbortController();
  private readonly deadline: NodeJS.Timeout;
  private ended = false;

  constructor(options: JobOptions) {
    this.options = options;
    const { timeout_s } = options;
    this.deadline = setTimeout(() => {
      const message = `The request took longer than ${timeout_s} s, the most that the server gives to one.`;
      this.stop("its time was up", new Problem(504, message, { code: "deadline_exceeded" }));
    }, timeout_s * 1000);
  }

  /** Aborted where it is to end at once, by the Problem that the client is told, if one is there to be told. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** @param ended for the log */
  stop(ended: string, problem = new Problem(503, `The request was given up: ${ended}.`)): void {
    if (this.ended || this.signal.aborted) return;
    this.options.exchange.ended = ended;
    this.controller.abort(problem);
  }

  /** @throws why it was stopped, where it was */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.signal.throwIfAborted();
      return result;
    } catch (error) {
      throw this.signal.aborted ? this.signal.reason : error;
    }
  }

  /** Gives its place to others. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.deadline);
    this.options.place.leave();
    this.options.over(this);
  }

  /** The generator for this request: each text waits for its turn, and what is drawn is counted. */
  generator(shared: Generator): Generator {
    return shared.sharedBy({
      drawn: () => this.count(),
      inTurn: (text, signal) => this.inTurn(text, signal),
    });
  }

  /** A token was drawn. */
  private count(): void {
    const { exchange } = this.options;
    exchange.tokens = (exchange.tokens ?? 0) + 1;
    exchange.first_token ??= performance.now() - exchange.at;
  }

  private async *inTurn<T, R>(
    text: AsyncGenerator<T, R>,
    signal = this.signal,
  ): AsyncGenerator<T, R> {
    const { place, exchange } = this.options;
    const end = await place.turn(signal);
    exchange.waited ??= performance.now() - exchange.at;
    try {
      return yield* text;
    } finally {
      end();
    }
  }
}
