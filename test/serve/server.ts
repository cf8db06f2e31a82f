// A server inside the test's process, with a generator that the test holds the strings of.

import { once } from "node:events";
import { connect } from "node:net";
import { onTestFinished } from "vitest";
import { AccessLog } from "../../cli/serve/logs.ts";
import type { Answers } from "../../cli/serve/api.ts";
import { RateLimit } from "../../cli/serve/rate_limit.ts";
import { type ServerOptions, startServer } from "../../cli/serve/start.ts";
import type { Generator, SamplingOptions, Sharer } from "../../src/generation/from_model.ts";
import { parseLines } from "../cli/fake_io.ts";

export const JSON_TYPE = { "content-type": "application/json" };

export interface TestOptions extends Partial<ServerOptions> {
  generator?: Generator;
  slots?: number;
}

/** Serves until the test ends; without a generator it is loading for ever. */
export async function serveInTest({ generator, slots = 2, ...options }: TestOptions = {}) {
  const output = { text: "", errors: "" };
  const sink = (name: keyof typeof output) => ({
    write: (text: string) => void (output[name] += text),
  });
  const server = await startServer({
    access: { host: "127.0.0.1", key: null, origins: [] },
    port: 0,
    limit: new RateLimit(0),
    trust_proxy: false,
    chats: true,
    model: "tiny",
    version: "1.2.3",
    max_queue: 64,
    timeout_s: 60,
    answers: pieces,
    log: new AccessLog(sink("text"), { json: true, prompts: false }),
    stderr: sink("errors"),
    ...options,
    patience: { drain_ms: 50, ...options.patience },
  });
  onTestFinished(() => server.stop());
  if (generator) server.open(generator, slots);
  const { url } = server;
  return {
    ...server,
    output,
    lines: () => parseLines(output.text),
    fetch: (path: string, init?: RequestInit) => fetch(`${url}${path}`, init),
    post: (path: string, body: unknown, init: RequestInit = {}) =>
      fetch(`${url}${path}`, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        ...init,
        headers: { ...JSON_TYPE, ...init.headers },
      }),
    metric: async (name: string) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      const found = text.split("\n").find((line) => line.startsWith(`${name} `));
      return found === undefined ? undefined : Number(found.split(" ")[1]);
    },
    raw: (...parts: string[]) => talk(url, parts),
  };
}

/** What comes back over a socket of its own until the other side ends it. */
async function talk(url: string, parts: string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (data) => (text += data)).on("error", () => {});
  for (const part of parts) socket.write(part);
  await once(socket, "close");
  return text;
}

/** The least of an API that streams: the pieces of a text. */
const pieces = (generator: Generator): Answers => {
  const texts = async function* (body: any, signal?: AbortSignal) {
    const options = { prompt: "", seed: 0, ...body, num_samples: 1, signal };
    for await (const event of generator.write(options)) {
      const { type, text } = event;
      if (type === "piece") yield { type, choices: [{ text, delta: { content: text } }] };
    }
    signal?.throwIfAborted();
  };
  const call = async (body: any, signal?: AbortSignal) => {
    if (body.stream) return { stream: texts(body, signal) };
    let text = "";
    for await (const piece of texts(body, signal)) text += piece.choices[0].text;
    return { object: { text } };
  };
  const models = () => ({ data: [{ id: "tiny" }] });
  const calls = { chatCompletions: call, completions: call, responses: call };
  return { models, ...calls, samples: call, answer: call };
};

export interface Strings {
  generator: Generator;
  /** Texts that are being written now, and tokens that were. */
  writing: number;
  tokens: number;
  /** Seeds of the texts, in the order in which they were begun. */
  begun: number[];
  /** Lets each text that is being written, and those to come, end. */
  finish(): void;
}

/** Writes x for ever, a token each turn of the event loop, or after a pause. */
export function endlessTexts(piece = "x", pause_ms = 0): Strings {
  let over = false;
  const strings = {
    writing: 0,
    tokens: 0,
    begun: [] as number[],
    finish: () => void (over = true),
  };
  const texts = (sharer?: Sharer): Pick<Generator, "write" | "sharedBy"> => ({
    sharedBy: (sharer) => texts(sharer) as Generator,
    write(options) {
      const text = write(options, sharer?.drawn);
      return sharer ? sharer.inTurn(text, options.signal) : text;
    },
  });
  async function* write(
    { signal, seed, max_tokens }: SamplingOptions,
    drawn = () => {},
  ): ReturnType<Generator["write"]> {
    strings.writing++;
    strings.begun.push(seed);
    try {
      for (let count = 0; !over && count < (max_tokens || Infinity); count++) {
        await new Promise((resolve) =>
          pause_ms > 0 ? setTimeout(resolve, pause_ms) : setImmediate(resolve),
        );
        if (signal?.aborted) return;
        strings.tokens++;
        drawn();
        yield { type: "piece", index: 1, text: piece };
      }
      yield { type: "sample", index: 1, text: "whole" };
    } finally {
      strings.writing--;
    }
  }
  return Object.assign(strings, { generator: texts() as Generator });
}

export async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
