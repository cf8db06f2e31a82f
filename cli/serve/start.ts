// A server from its start to its end.

import { plural } from "../../src/count.ts";
import type { Output } from "../run.ts";
import type { Access } from "./access.ts";
import { createApp } from "./app.ts";
import type { AccessLog } from "./logs.ts";
import type { Generator } from "../../src/generation/from_model.ts";
import { type Answers, apiRoutes } from "./api.ts";
import { openApiRoute } from "./openapi.ts";
import { pageRoute } from "./page.ts";
import type { RateLimit } from "./rate_limit.ts";
import { Guard } from "./security.ts";
import { closeServer, createHttpServer, listen, patience as usual, urlOf } from "./server.ts";
import { Serving, type ServingOptions } from "./serving.ts";

export interface ServerOptions extends ServingOptions {
  access: Access;
  /** 0 for any that is free. */
  port: number;
  limit: RateLimit;
  trust_proxy: boolean;
  /** Whether the model answers conversations. */
  chats: boolean;
  /** Of one request, with a generator that waits for its turn. */
  answers(generator: Generator): Answers;
  log: AccessLog;
  stderr: Output;
  patience?: Partial<typeof usual>;
}

export interface RunningServer {
  readonly url: string;
  /** From now on requests are answered. */
  open(generator: Generator, slots: number): void;
  /** Waits for the signal. @throws GpuError if the model's device fails before */
  until(signal: AbortSignal): Promise<void>;
  /** Ends what is being written, once it has had its time, and all connections. More than once is as once. */
  stop(): Promise<void>;
}

/** @throws UserError if it cannot listen there */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { access, log, stderr, model } = options;
  const patience = { ...usual, ...options.patience };
  const serving = new Serving(options);
  const failure = serving.failure();
  failure.catch(() => {});
  const keyed = access.key !== null;
  const routes = [
    pageRoute({ ...options, keyed }),
    openApiRoute(options.version, keyed),
    ...apiRoutes({ serving, patience, answers: options.answers }),
  ];
  const app = createApp(serving, routes, {
    guard: new Guard(access),
    limit: options.limit,
    trust_proxy: options.trust_proxy,
    report: (error) => stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
  });
  const server = createHttpServer(app, patience, {
    begin: () => void serving.unanswered++,
    end: (exchange, status) => {
      serving.unanswered--;
      serving.record(exchange, status);
      log.request(exchange, status);
    },
  });
  const address = await listen(server, access.host, options.port);
  const url = urlOf(address);
  let stopping: Promise<void> | undefined;

  const stop = async () => {
    const ended = await serving.drain(patience.drain_ms);
    await closeServer(server, () => serving.unanswered, LAST_WORDS_MS);
    const cut = ended > 0 ? `; ${plural(ended, "request")} got no whole answer` : "";
    log.event("end", `The server has stopped${cut}.`, { ended });
  };
  return {
    url,
    open(generator, slots) {
      serving.open(generator, slots);
      const { port } = address;
      log.event("start", `Serving ${model} at ${url}`, { url, port, model });
    },
    async until(signal) {
      const stopped = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await Promise.race([stopped, failure]);
    },
    stop: () => (stopping ??= stop()),
  };
}

/** For what is still to be sent when the answers are over. */
const LAST_WORDS_MS = 1500;
