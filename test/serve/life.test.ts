// A server from its start to its end, its metrics, and the document that tells of its routes.

import { expect, onTestFinished, test, vi } from "vitest";
import { calls } from "../../cli/serve/api.ts";
import { openDevice } from "../../src/device/device.ts";
import { GpuError } from "../../src/errors.ts";
import type { Generator } from "../../src/generation/from_model.ts";
import { chatGenerator, namesGenerator, serveModel } from "./models.ts";
import { endlessTexts, serveInTest, until } from "./server.ts";

const stream = { stream: true };

test("what is not written in time when the server stops is ended with a word", async () => {
  const texts = endlessTexts("x", 1);
  const server = await serveInTest({
    generator: texts.generator,
    slots: 2,
    patience: { drain_ms: 200 },
  });
  const answers = [
    server.post("/v1/completions", stream).then((response) => response.text()),
    server.post("/v1/responses", stream).then((response) => response.text()),
    server.post("/v1/chat/completions", {}).then((response) => response.json()), // waits
  ];
  await until(() => texts.writing === 2);
  await until(async () => (await server.metric("microgpt_requests_waiting")) === 1);
  const stopped = server.stop();
  expect(server.stop()).toBe(stopped);
  const late = await server.post("/v1/completions", {});
  expect([late.status, late.headers.get("retry-after")]).toEqual([503, "5"]);
  await stopped;
  const [chunks, events, waiting] = await Promise.all(answers);
  const message = "The server is about to stop.";
  const error = { message, type: "overloaded_error", param: null, code: "shutting_down" };
  expect(chunks.endsWith(`data: ${JSON.stringify({ error })}\n\n`)).toBe(true);
  expect(events).toMatch(/event: error\ndata: \{"type":"error","code":"shutting_down",[^\n]*\n\n$/);
  expect(waiting).toEqual({ error });
  expect(texts.writing).toBe(0);
  expect(server.lines().at(-1)).toEqual({ type: "end", ended: 3 });
  await expect(server.fetch("/health")).rejects.toThrow("fetch failed");
});

test("a device that fails ends the server, with a sentence for who asked", async () => {
  const lost = new GpuError("The GPU is gone.");
  const failing = endlessTexts().generator;
  const generator: Generator = Object.assign(failing, {
    sharedBy: () => generator,
    write: async function* (...args: Parameters<Generator["write"]>) {
      yield* endlessTexts().generator.write({ ...args[0], max_tokens: 1 });
      throw lost;
    },
  });
  for (const [body, text] of [
    [{}, '{"error":{"message":"The GPU is gone.","type":"server_error","param":null,"code":null}}'],
    [stream, '\n\ndata: {"error":{"message":"The GPU is gone."'],
  ] as const) {
    const server = await serveInTest({ generator });
    const failure = server.until(new AbortController().signal).catch((error: unknown) => error);
    const response = await server.post("/v1/completions", body);
    expect(await response.text()).toContain(text);
    expect(await failure).toBe(lost);
    expect((await server.fetch("/health")).status).toBe(503);
    expect((await (await server.post("/v1/completions", {})).json()).error.message).toBe(
      "The server's device failed, and it is about to stop.",
    );
  }
});

test("a device that is lost while nothing is asked of it ends the server at once", async () => {
  const device = await openDevice();
  const generator = Object.assign(endlessTexts().generator, { device });
  const server = await serveInTest({ generator });
  const failure = server.until(new AbortController().signal).catch((error: unknown) => error);
  expect((await server.fetch("/health")).status).toBe(200);
  device.destroy();
  expect(await failure).toBeInstanceOf(GpuError);
  const health = await server.fetch("/health");
  expect([health.status, await health.json()]).toEqual([503, { status: "failed" }]);
});

test("a device that does not tell is asked", async () => {
  vi.useFakeTimers({ toFake: ["setInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const lost = new GpuError("The GPU is gone.");
  const device = { failing: new Promise(() => {}), idle: () => Promise.reject(lost) };
  const server = await serveInTest({
    generator: Object.assign(endlessTexts().generator, { device }) as unknown as Generator,
  });
  const failure = server.until(new AbortController().signal).catch((error: unknown) => error);
  vi.advanceTimersByTime(10_000);
  expect(await failure).toBe(lost);
});

test("metrics are as Prometheus reads them", async () => {
  const server = await serveModel(await chatGenerator());
  const messages = [{ role: "user", content: "my red cat" }];
  for (const body of [{ messages }, { messages, stream: true }, { messages: [] }]) {
    await (await server.post("/v1/chat/completions", body)).text();
  }
  await server.fetch("/../nowhere");
  const response = await server.fetch("/metrics");
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  const samples = text.trimEnd().split("\n");
  for (const line of samples) {
    expect(line).toMatch(
      /^# (HELP|TYPE) microgpt_[a-z_]+ .+$|^microgpt_[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? [\d.e+-]+$/,
    );
  }
  const value = (name: string) =>
    samples.find((line) => line.startsWith(`${name} `))?.split(" ")[1];
  const route = "/v1/chat/completions";
  expect(value(`microgpt_requests_total{route="${route}",status="200"}`)).toBe("2");
  expect(value(`microgpt_requests_total{route="${route}",status="400"}`)).toBe("1");
  expect(value(`microgpt_requests_total{route="other",status="404"}`)).toBe("1");
  const tokens = server.lines().reduce((sum, { tokens = 0 }) => sum + tokens, 0);
  expect(value("microgpt_tokens_total")).toBe(String(tokens));
  expect(tokens).toBeGreaterThan(1);
  for (const name of ["microgpt_request_seconds", "microgpt_first_token_seconds"]) {
    const counts = samples.filter((line) => line.startsWith(`${name}_bucket`));
    const values = counts.map((line) => Number(line.split(" ")[1]));
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(values.at(-1)).toBe(2);
    expect(value(`${name}_count`)).toBe("2");
  }
});

test("tokens are counted, and not the pieces that show them", async () => {
  const server = await serveModel(await namesGenerator());
  const ask = async (path: string, body: object) => (await server.post(path, body)).json();
  const { samples } = await ask("/microgpt/v1/generate", { num_samples: 5, temperature: 1 });
  // A character is a token, and so is what ends a text.
  const drawn = samples.reduce((sum: number, text: string) => sum + text.length + 1, 0);
  const { usage } = await ask("/v1/completions", { prompt: "ada", max_tokens: 4, n: 3 });
  const counts = () => server.lines().flatMap(({ tokens }) => tokens ?? []);
  await until(() => counts().length === 2);
  expect(counts()).toEqual([drawn, usage.completion_tokens]);
  expect(await server.metric("microgpt_tokens_total")).toBe(drawn + usage.completion_tokens);
});

test("the OpenAPI document has every route, and the fields that are checked", async () => {
  const { fetch, url } = await serveModel(await chatGenerator());
  const document = await (await fetch("/openapi.json")).json();
  expect(document.openapi).toBe("3.1.0");
  for (const [path, methods] of Object.entries<Record<string, any>>(document.paths)) {
    for (const method of Object.keys(methods).filter((key) => key !== "parameters")) {
      const body = method === "post" ? "{" : undefined;
      const headers = { "content-type": "application/json" };
      const { status } = await globalThis.fetch(`${url}${path.replace("{id}", "tiny")}`, {
        method: method.toUpperCase(),
        headers,
        body,
      });
      expect([path, method, status]).toEqual([path, method, body ? 400 : 200]);
    }
  }
  expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(Object.keys(calls)));
  const schema = (path: string) =>
    document.paths[path].post.requestBody.content["application/json"].schema;
  expect(schema("/microgpt/v1/generate").properties.num_samples).toMatchObject({
    type: "integer",
    minimum: 1,
    maximum: 50,
    default: 1,
  });
  expect(schema("/v1/chat/completions").required).toEqual(["messages"]);
  expect(JSON.stringify(document)).not.toContain('"advice"');
});

test("the page loads nothing, and runs what is its own alone", async () => {
  const { fetch } = await serveInTest({ model: `<b>"x"&` });
  const response = await fetch("/");
  const text = await response.text();
  expect(text).not.toMatch(/(src|href)="(?!data:)|@import|\burl\(/);
  expect(text).toContain("&#60;b&#62;&#34;x&#34;&#38;");
  expect(text).not.toContain("<b>");
  const policy = response.headers.get("content-security-policy")!;
  expect(policy).toMatch(
    /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; /,
  );
  expect(policy).not.toContain("unsafe");
});
