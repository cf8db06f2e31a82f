// The APIs over HTTP, OpenAI's and microgpt's own: what they say is the business of src/api, how it travels is ours.

import type { Context } from "hono";
import type { Answer } from "../../src/api/answer.ts";
import type { RequestKind } from "../../src/api/fields.ts";
import type { RequestError } from "../../src/errors.ts";
import type { Generator } from "../../src/generation/from_model.ts";
import type { Env, Route } from "./app.ts";
import { readJson } from "./body.ts";
import { exchangeOf } from "./exchange.ts";
import type { Job } from "./job.ts";
import { Problem, problemBody, problemOf } from "./problem.ts";
import type { Patience } from "./server.ts";
import type { Serving } from "./serving.ts";
import { eventStream, type ServerEvent, SSE_HEADERS } from "./sse.ts";

/** What answers requests: a Service, or what a test has in its place. */
export interface Answers extends Record<
  RequestKind,
  (body: unknown, signal: AbortSignal) => Promise<Answer<object, object>>
> {
  models(): { data: readonly { id: string }[] };
}

export interface ApiOptions {
  serving: Serving;
  /** Of one request, with a generator that waits for its turn. */
  answers(generator: Generator): Answers;
  patience: Patience;
}

interface Call {
  kind: RequestKind;
  /** Whether the events of its stream have names, by which the last one is known; others end with [DONE]. */
  isNamed: boolean;
}

/** By their paths. */
export const calls: Readonly<Record<string, Call>> = {
  "/microgpt/v1/generate": { kind: "samples", isNamed: false },
  "/microgpt/v1/chat": { kind: "answer", isNamed: false },
  "/v1/completions": { kind: "completions", isNamed: false },
  "/v1/chat/completions": { kind: "chatCompletions", isNamed: false },
  "/v1/responses": { kind: "responses", isNamed: true },
};

export function apiRoutes(options: ApiOptions): Route[] {
  const { serving, answers } = options;
  const models = () => answers(serving.generator).models();
  return [
    ...Object.entries(calls).map(([path, call]): Route => ({
      method: "POST",
      path,
      handle: (c) => answer(c, call, options),
    })),
    { method: "GET", path: "/v1/models", handle: (c) => c.json(models()) },
    {
      method: "GET",
      path: "/v1/models/:id",
      handle: (c) => {
        const id = c.req.param("id") ?? "";
        const model = models().data.find((model) => model.id === id);
        if (model) return c.json(model);
        const name = JSON.stringify(id.slice(0, 100));
        throw new Problem(404, `There is no model ${name}; GET /v1/models tells which there is.`, {
          code: "model_not_found",
          param: "model",
        });
      },
    },
  ];
}

async function answer(
  c: Context<Env>,
  { kind, isNamed }: Call,
  { serving, answers, patience }: ApiOptions,
): Promise<Response> {
  const { incoming, outgoing } = c.env;
  const body = await readJson(incoming, patience.body_ms);
  exchangeOf(outgoing).prompt = body;
  const job = serving.begin(outgoing);
  try {
    const service = answers(job.generator(serving.generator));
    const answer = await job.run(() => service[kind](body, job.signal));
    if ("object" in answer) {
      job.end();
      return c.json(answer.object);
    }
    const events = framed(answer.stream, isNamed, job, (error) => {
      serving.failed(error);
      return problemOf(error);
    });
    const stream = eventStream(events, {
      ...patience,
      stalled: () => {
        job.stop("the client did not read");
        outgoing.destroy();
      },
      gone: () => {
        job.stop("the client left");
        job.end(); // of events that were never asked for, nobody else would
      },
    });
    return c.body(stream, 200, { ...SSE_HEADERS });
  } catch (error) {
    job.end();
    throw error;
  }
}

/** What goes wrong once the status has been sent is an event, and the last one. */
async function* framed(
  objects: AsyncIterable<object>,
  isNamed: boolean,
  job: Job,
  failed: (error: unknown) => RequestError,
): AsyncGenerator<ServerEvent> {
  try {
    for await (const object of objects) {
      const data = JSON.stringify(object);
      yield isNamed ? { name: (object as { type: string }).type, data } : { data };
    }
    job.signal.throwIfAborted();
    if (!isNamed) yield { data: "[DONE]" };
  } catch (error) {
    const problem = failed(job.signal.aborted ? job.signal.reason : error);
    const { message, code, param } = problem;
    const told = { type: "error", code, message, param };
    if (isNamed) yield { name: "error", data: JSON.stringify(told) };
    else yield { data: JSON.stringify(problemBody(problem, "/v1/")) };
  } finally {
    job.end();
  }
}
