// OpenAI's own client, unchanged, against a model of ours; and the lines of curl.

import { spawnSync } from "node:child_process";
import OpenAI, { APIError } from "openai";
import { describe, expect, test } from "vitest";
import { namesGenerator, serveModel, wiseGenerator } from "./models.ts";
import { endlessTexts, serveInTest, until } from "./server.ts";

const messages = [{ role: "user", content: "my red cat" }] as const;
const asked = { model: "gpt-4o-mini", messages: [...messages], temperature: 0 };
const answer = "the cat is red";

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function client(options: Parameters<typeof serveModel>[1] = {}) {
  const server = await serveModel(await wiseGenerator(), options);
  const baseURL = `${server.url}/v1`;
  return { server, openai: new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 }) };
}

describe("the client", () => {
  test("lists the model, and finds it by its name", async () => {
    const { openai } = await client();
    const ids = [];
    for await (const { id } of openai.models.list()) ids.push(id);
    expect(ids).toEqual(["tiny"]);
    expect(await openai.models.retrieve("tiny")).toMatchObject({ id: "tiny", object: "model" });
    const other = openai.models.retrieve("gpt-4o");
    await expect(other).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  test("has a chat's answer, whole and in pieces", async () => {
    const { openai, server } = await client();
    const whole = await openai.chat.completions.create(asked);
    expect(whole.choices[0]).toMatchObject({
      message: { role: "assistant", content: answer },
      finish_reason: "stop",
    });
    expect(whole._request_id).toMatch(/^req_/);
    const usage = { prompt_tokens: 14, completion_tokens: 15, total_tokens: 29 };
    expect(whole.usage).toMatchObject(usage);

    const stream_options = { include_usage: true };
    const stream = await openai.chat.completions.create({ ...asked, stream: true, stream_options });
    const chunks = await all(stream);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks[0].choices[0].delta.role).toBe("assistant");
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect(text).toBe(answer);
    expect(chunks.at(-2)!.choices[0]).toMatchObject({ delta: {}, finish_reason: "stop" });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
    await until(() => server.lines().length >= 3);
    expect(server.lines().filter(({ tokens }) => tokens === 15)).toHaveLength(2);
  });

  test("has its helper for streams, and gives one up", async () => {
    const { openai } = await client();
    const stream = openai.chat.completions.stream({ ...asked, max_completion_tokens: 3 });
    expect(await stream.finalContent()).toBe("the");
    const texts = endlessTexts();
    const server = await serveInTest({ generator: texts.generator });
    const endless = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none" });
    const pieces = await endless.chat.completions.create({ ...asked, stream: true });
    for await (const _ of pieces) if (texts.tokens > 20) break;
    await until(() => texts.writing === 0);
  });

  test("has a response, whole and in events", async () => {
    const { openai } = await client();
    const body = { model: "gpt-4o-mini", input: "my blue dog", temperature: 0 };
    const response = await openai.responses.create(body);
    expect(response.output_text).toBe("the dog is blue");
    const events = await all(await openai.responses.create({ ...body, stream: true }));
    expect(events[0].type).toBe("response.created");
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    expect(deltas.map(({ delta }) => delta).join("")).toBe("the dog is blue");
    const last = events.at(-1)!;
    expect(last.type).toBe("response.completed");
    expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()]);
  });

  test("has completions, with echo and log-probabilities, as evaluation harnesses ask for them", async () => {
    const server = await serveModel(await namesGenerator());
    const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none" });
    const completion = await openai.completions.create({
      model: "any",
      prompt: ["ada", "john"],
      max_tokens: 0,
      echo: true,
      logprobs: 1,
    });
    expect(completion.choices.map(({ text }) => text)).toEqual(["ada", "john"]);
    const { tokens, token_logprobs } = completion.choices[0].logprobs!;
    expect(tokens).toEqual(["a", "d", "a"]);
    expect(token_logprobs!.every((value) => value === null || value < 0)).toBe(true);
    const stream = await openai.completions.create({
      model: "any",
      prompt: "a",
      seed: 7,
      stream: true,
    });
    const text = (await all(stream)).map(({ choices }) => choices[0].text).join("");
    const whole = await openai.completions.create({ model: "any", prompt: "a", seed: 7 });
    expect(whole.choices[0].text).toBe(text);
  });

  test("has its own errors for ours", async () => {
    const { openai } = await client({ access: { host: "127.0.0.1", key: "right", origins: [] } });
    const wrong = await openai.chat.completions.create(asked).catch((error: unknown) => error);
    expect(wrong).toBeInstanceOf(OpenAI.AuthenticationError);
    const right = openai.withOptions({ apiKey: "right" });
    expect((await right.chat.completions.create(asked)).choices).toHaveLength(1);
    const bad = right.chat.completions.create({ ...asked, temperature: -1 });
    await expect(bad).rejects.toMatchObject({ status: 400, param: "temperature" });
    await expect(bad).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  });

  test("is told in mid-stream that the time is up", async () => {
    const texts = endlessTexts();
    const server = await serveInTest({ generator: texts.generator, timeout_s: 0.2 });
    const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
    const stream = await openai.chat.completions.create({ ...asked, stream: true });
    const read = all(stream).catch((error: unknown) => error);
    expect(await read).toBeInstanceOf(APIError);
    expect(await read).toMatchObject({ code: "deadline_exceeded" });
  });
});

test("the same texts come whatever else is asked for at the time", async () => {
  const { openai } = await client();
  const hot = { ...asked, temperature: 3 };
  const texts = async (seed: number) => {
    const { choices } = await openai.chat.completions.create({ ...hot, seed, n: 2 });
    return choices.map(({ message }) => message.content);
  };
  const alone = [];
  for (let seed = 0; seed < 8; seed++) alone.push(await texts(seed));
  const together = await Promise.all(alone.map((_, seed) => texts(seed)));
  expect(together).toEqual(alone);
  expect(new Set(alone.flat()).size).toBeGreaterThan(8);
});

test.runIf(spawnSync("curl", ["--version"]).status === 0)("lines of curl work", async () => {
  const { server } = await client();
  const { spawn } = await import("node:child_process");
  const { text } = await import("node:stream/consumers");
  const curl = (...argv: string[]) => text(spawn("curl", ["-sN", ...argv]).stdout);
  const json = ["-H", "Content-Type: application/json", "-d"];
  const chat = `${server.url}/v1/chat/completions`;
  const body = { messages, temperature: 0 };
  const whole = JSON.parse(await curl(chat, ...json, JSON.stringify(body)));
  expect(whole.choices[0].message.content).toBe(answer);
  const stream = await curl(chat, ...json, JSON.stringify({ ...body, stream: true }));
  expect(stream).toMatch(/^data: \{"id":"chatcmpl-[^]*\n\ndata: \[DONE\]\n\n$/);
  const own = await curl(`${server.url}/microgpt/v1/chat`, ...json, JSON.stringify(body));
  expect(JSON.parse(own)).toEqual({ role: "assistant", content: answer });
});
