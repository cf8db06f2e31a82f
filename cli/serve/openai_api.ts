// OpenAI's API over HTTP: what it says is the business of src/api, how it travels is ours.

import type { Context } from "hono";
import type { Generator } from "../../src/generation/from_model.ts";
import type { RequestError } from "../../src/errors.ts";
import type { Env, Route } from "./app.ts";
import { readJson } from "./body.ts";
import { exchangeOf } from "./exchange.ts";
import type { Job } from "./job.ts";
import { Problem, problemBody, problemOf } from "./problem.ts";
import type { Patience } from "./server.ts";
import type { Serving } from "./serving.ts";
import { eventStream, type ServerEvent, SSE_HEADERS } from "./sse.ts";

export type Answer = { object: object } | { stream: AsyncIterable<object> };
type Call = (body: unknown, signal: AbortSignal) => Promise<Answer>;

export interface Service {
  chatCompletions: Call;
  completions: Call;
  responses: Call;
  models(): { data: readonly { id: string }[] };
}

type CallName = "chatCompletions" | "completions" | "responses";

export interface OpenAiOptions {
  serving: Serving;
  /** Of one request, with the generator that waits for its turn. */
  service(generator: Generator): Service;
  patience: Patience;
}

export function openAiRoutes(options: OpenAiOptions): Route[] {
  const { serving, service } = options;
  const call = (path: string, name: CallName): Route => ({
    method: "POST",
    path,
    handle: (c) => answer(c, name, options),
  });
  const models = () => service(serving.generator).models();
  return [
    { method: "GET", path: "/v1/models", handle: (c) => c.json(models()) },
    {
      method: "GET",
      path: "/v1/models/:id",
      handle: (c) => {
        const id = c.req.param("id");
        const model = models().data.find((model) => model.id === id);
        if (model) return c.json(model);
        throw new Problem(404, `There is no model "${id}"; GET /v1/models tells which there is.`, {
          code: "model_not_found",
          param: "model",
        });
      },
    },
    call("/v1/chat/completions", "chatCompletions"),
    call("/v1/completions", "completions"),
    call("/v1/responses", "responses"),
  ];
}

async function answer(
  c: Context<Env>,
  name: CallName,
  { serving, service, patience }: OpenAiOptions,
): Promise<Response> {
  const { incoming, outgoing } = c.env;
  const body = await readJson(incoming, patience.body_ms);
  exchangeOf(outgoing).prompt = body;
  const job = serving.begin(outgoing);
  try {
    const answer = await job.run(() =>
      service(job.generator(serving.generator))[name](body, job.signal),
    );
    if ("object" in answer) {
      job.end();
      return c.json(answer.object);
    }
    const isNamed = name === "responses";
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
      gone: () => job.stop("the client left"),
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
    if (isNamed)
      yield { name: "error", data: JSON.stringify({ type: "error", code, message, param }) };
    else yield { data: JSON.stringify(problemBody(problem, "/v1/")) };
  } finally {
    job.end();
  }
}
