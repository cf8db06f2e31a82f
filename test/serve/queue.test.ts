// Turns: who is next, who waits, who is sent away; and what a client that leaves or does not read costs.

import { request, ServerResponse } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { apiRoutes } from "../../cli/serve/api.ts";
import { beginExchange, type Exchange } from "../../cli/serve/exchange.ts";
import { Job } from "../../cli/serve/job.ts";
import { Queue } from "../../cli/serve/queue.ts";
import { patience } from "../../cli/serve/server.ts";
import { Serving } from "../../cli/serve/serving.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { tinyModel } from "../harness/service.ts";
import { endlessTexts, serveInTest, until } from "./server.ts";

const never = new AbortController().signal;

describe("the queue", () => {
  test("a turn goes to the request that has the fewest, of several to the one that came first", async () => {
    const queue = new Queue(2, 9);
    const [many, one, other] = [queue.take(), queue.take(), queue.take()];
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const wait = (name: string, place: typeof many) =>
      void place.turn(never).then((end) => {
        begun.push(name);
        ends.push(end);
      });
    for (let i = 0; i < 4; i++) wait("many", many);
    wait("one", one);
    wait("other", other);
    for (let i = 0; i < 5; i++) {
      await until(() => ends.length > i);
      ends[i]();
      ends[i] = () => {};
    }
    await until(() => ends.length === 6);
    expect(begun).toEqual(["many", "many", "one", "other", "many", "many"]);
  });

  test("whoever leaves gives back all that it has, once", async () => {
    const queue = new Queue(2, 0);
    const place = queue.take();
    const end = await place.turn(never);
    await place.turn(never);
    expect(queue.running).toBe(2);
    expect(() => queue.take()).toThrow(
      "The server is busy: it writes 2 texts, and 0 requests wait.",
    );
    place.leave();
    place.leave();
    end();
    expect(queue.running).toBe(0);
    queue.take();
    queue.take();
    expect(() => queue.take()).toThrow("The server is busy");
  });

  test("a turn that is given up is nobody's", async () => {
    const queue = new Queue(1, 5);
    const [first, second, third] = [queue.take(), queue.take(), queue.take()];
    const end = await first.turn(never);
    const leaving = new AbortController();
    const given = second.turn(leaving.signal);
    const waiting = third.turn(never);
    leaving.abort(new Error("left"));
    await expect(given).rejects.toThrow("left");
    await expect(second.turn(leaving.signal)).rejects.toThrow("left");
    end();
    await waiting;
    expect(queue.running).toBe(1);
  });
});

test("of a request for several texts each has a turn of its own, so that others come between", async () => {
  const shared = await Generator.open(await tinyModel("tied"), "cpu");
  const queue = new Queue(2, 5);
  const job = () => {
    const place = queue.take();
    return new Job({ place, exchange: {} as Exchange, timeout_s: 60, over: () => {} });
  };
  const [many, one] = [job(), job()];
  const over: string[] = [];
  let most = 0;
  const write = async (name: string, job: Job, num_samples: number) => {
    const options = { seed: 3, num_samples, signal: job.signal };
    const texts = [];
    for await (const event of job.generator(shared).write(options)) {
      most = Math.max(most, queue.running);
      if (event.type === "sample") texts.push(event);
    }
    over.push(name);
    job.end();
    return texts;
  };
  const [texts, others] = await Promise.all([write("many", many, 6), write("one", one, 1)]);
  expect(most).toBe(2);
  expect(over).toEqual(["one", "many"]);
  const alone = [];
  for await (const event of shared.samples({ seed: 3, num_samples: 6 })) alone.push(event);
  expect(texts).toEqual(alone);
  expect(others).toEqual(alone.slice(0, 1));
  shared.close();
});

describe("the server", () => {
  const stream = { stream: true };

  test("64 requests wait, and the next is told when to come back", async () => {
    const texts = endlessTexts();
    const server = await serveInTest({ generator: texts.generator, slots: 2 });
    const seeds = Array.from({ length: 66 }, (_, i) => i);
    const answers = seeds.map(async (seed) => {
      await until(() => texts.begun.length >= Math.min(2, seed));
      return (await server.post("/microgpt/v1/generate", { seed })).status;
    });
    await until(async () => (await server.metric("microgpt_requests_waiting")) === 64);
    const next = await server.post("/microgpt/v1/generate", {});
    expect(next.status).toBe(503);
    expect(Number(next.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await next.json()).toEqual({
      error: "The server is busy: it writes 2 texts, and 64 requests wait. Come back later.",
    });
    const { error } = await (await server.post("/v1/completions", {})).json();
    expect(error).toMatchObject({ type: "overloaded_error", param: null, code: "overloaded" });
    texts.finish();
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
    expect(texts.begun.toSorted((a, b) => a - b)).toEqual(seeds);
    expect(await server.metric("microgpt_texts_running")).toBe(0);
  });

  test.each([
    ["while it streams", stream],
    ["while it waits for an answer", {}],
  ])("a client that leaves %s has its slot freed within a token", async (_, body) => {
    const texts = endlessTexts();
    const server = await serveInTest({ generator: texts.generator, slots: 1 });
    const leaving = new AbortController();
    const answer = server.post("/v1/completions", body, { signal: leaving.signal });
    const gone = answer.then((response) => response.text()).catch(() => "gone");
    await until(() => texts.tokens > 3);
    const waiting = server.post("/v1/completions", { ...body, max_tokens: 2, seed: 7 });
    await until(async () => (await server.metric("microgpt_requests_waiting")) === 1);
    leaving.abort();
    expect(await gone).toBe("gone");
    const { status } = await waiting;
    expect(status).toBe(200);
    await until(() => server.lines().some(({ ended }) => ended === "the client left"));
    await until(() => texts.writing === 0);
    expect(texts.begun).toEqual([0, 7]);
  });

  test("one that leaves while it waits for its turn is never written for", async () => {
    const texts = endlessTexts();
    const server = await serveInTest({ generator: texts.generator, slots: 1 });
    const first = server.post("/v1/completions", {});
    await until(() => texts.tokens > 0);
    const leaving = new AbortController();
    const answer = server.post("/v1/completions", { seed: 5 }, { signal: leaving.signal });
    await until(async () => (await server.metric("microgpt_requests_waiting")) === 1);
    leaving.abort();
    await expect(answer).rejects.toThrow("aborted");
    await until(async () => (await server.metric("microgpt_requests_waiting")) === 0);
    texts.finish();
    await first;
    expect(texts.begun).toEqual([0]);
  });

  test("a reader that does not read stops its text, and is given up after a while", async () => {
    const texts = endlessTexts("x".repeat(10_000));
    const patience = { stall_ms: 400 };
    const server = await serveInTest({ generator: texts.generator, slots: 1, patience });
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1").pause();
    onTestFinished(() => void socket.destroy());
    const body = JSON.stringify(stream);
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    let before = -1;
    await until(async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const still = texts.tokens > 0 && texts.tokens === before;
      before = texts.tokens;
      return still;
    });
    expect(texts.tokens).toBeLessThan(2000); // what the sockets' buffers of the system hold
    await until(() => texts.writing === 0);
    await until(() => server.lines().some(({ ended }) => ended === "the client did not read"));
  });

  test("a slow reader gets all of it", async () => {
    const texts = endlessTexts("y".repeat(5000));
    const server = await serveInTest({ generator: texts.generator });
    const text = await new Promise<string>((resolve, reject) => {
      const asked = request(`${server.url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
      });
      asked.on("response", async (response) => {
        let text = "";
        for await (const chunk of response) {
          text += chunk;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        resolve(text);
      });
      asked.on("error", reject).end(JSON.stringify({ ...stream, max_tokens: 300 }));
    });
    expect(text.match(/^data: \{/gm)).toHaveLength(300);
    expect(text).toMatch(/data: \[DONE\]\n\n$/);
  });

  test("a deadline ends a request with 504, a stream with an error in its place", async () => {
    const texts = endlessTexts();
    const server = await serveInTest({ generator: texts.generator, timeout_s: 0.2 });
    const whole = await server.post("/v1/completions", {});
    expect(whole.status).toBe(504);
    const sentence = "The request took longer than 0.2 s, the most that the server gives to one.";
    const error = {
      message: sentence,
      type: "timeout_error",
      param: null,
      code: "deadline_exceeded",
    };
    expect(await whole.json()).toEqual({ error });
    const events = (await (await server.post("/v1/completions", stream)).text())
      .trimEnd()
      .split("\n\n");
    expect(events.at(-1)).toBe(`data: ${JSON.stringify({ error })}`);
    const named = await (await server.post("/v1/responses", stream)).text();
    const { message, code, param } = error;
    const data = JSON.stringify({ type: "error", code, message, param });
    expect(named.trimEnd().split("\n\n").at(-1)).toBe(`event: error\ndata: ${data}`);
    expect(texts.writing).toBe(0);
  });

  test("a stream that is silent for long gives a sign of life", async () => {
    const texts = endlessTexts();
    const server = await serveInTest({
      generator: texts.generator,
      slots: 1,
      patience: { keep_alive_ms: 30 },
    });
    const first = server.post("/microgpt/v1/generate", {});
    await until(() => texts.tokens > 0);
    const waiting = await server.post("/v1/completions", { ...stream, max_tokens: 3 });
    const reader = waiting.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe(": still at it\n\n");
    texts.finish();
    await first;
    await reader.cancel();
  });
});

test("a client that left before its stream began keeps no place", async () => {
  const { generator } = endlessTexts();
  const serving = new Serving({ model: "m", version: "1", max_queue: 0, timeout_s: 60 });
  serving.open(generator, 1);
  const answers = () => ({ completions: async () => ({ stream: (async function* () {})() }) });
  const routes = apiRoutes({ serving, patience, answers: answers as never });
  const { handle } = routes.find(({ path }) => path === "/v1/completions")!;
  const headers = { "content-type": "application/json" };
  const incoming = Object.assign(Readable.from([Buffer.from("{}")]), { headers });
  const outgoing = new ServerResponse(incoming as never);
  beginExchange(incoming as never, outgoing);
  const body = (stream: ReadableStream) => new Response(stream);
  const response = await handle({ env: { incoming, outgoing }, body } as never);
  expect(() => serving.begin(outgoing)).toThrow("The server is busy");
  await response.body!.cancel();
  serving.begin(outgoing).end();
});
