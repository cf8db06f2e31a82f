// A loaded model writes: in this thread, and the same at the other end of a channel, as in a worker.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError, ModelFileError, RequestError, UserError } from "../../src/errors.ts";
import * as inBrowser from "../../src/files/model_dir.browser.ts";
import { generate, load, type Model, save, toBytes, type Writer } from "../../src/index.ts";
import { listen } from "../../src/library/listen.ts";
import type { WorkerLike } from "../../src/library/messages.ts";
import { temporaryFolder } from "../cli/fake_io.ts";
import { collect, tinyModel } from "../harness/service.ts";

let names: Model;
let chat: Model;
beforeAll(async () => {
  const models = await Promise.all([tinyModel("names"), tinyModel("chat")]);
  [names, chat] = await Promise.all(models.map((model) => load(toBytes(model)))); // in float32
});

const ports: MessagePort[] = [];
afterAll(() => {
  for (const port of ports) port.close();
});

/** One end of a channel, at whose other end a model is waited for. */
function worker(): { near: WorkerLike; far: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  for (const port of [port1, port2]) port.start();
  listen(port2 as never);
  return { near: port1 as never, far: port2 };
}

type Place = [string, (model: Model) => Promise<Writer>];
const places: Place[] = [
  ["here", (model) => load(model, { device: "cpu", name: "tiny" })],
  ["there", (model) => load(model, { device: "cpu", name: "tiny", worker: worker().near })],
];

describe.each(places)("a model that writes %s", (_, open) => {
  test("gives the texts of generate(), and streams them", async () => {
    const writer = await open(names);
    const options = { prompt: "a", seed: 3, num_samples: 3, temperature: 1, logprobs: 1 };
    const texts = await collect(writer.generate(options));
    expect(texts).toEqual(await collect(generate(names, { ...options, device: "cpu" })));
    const pieces = await collect(writer.stream(options));
    for (const { index, text } of texts) {
      const own = pieces.filter((piece) => piece.index === index);
      expect(own.map((piece) => piece.text).join("")).toBe(text);
      expect(own.length).toBe(text.length);
    }
    const one = await collect(writer.stream());
    expect(new Set(one.map(({ index }) => index))).toEqual(new Set([1]));
    await writer.close();
  });

  test("answers as OpenAI's client does", async () => {
    const writer = await open(chat);
    const messages = [{ role: "user", content: "my red cat" }] as const;
    const request = { messages, max_tokens: 6, seed: 3, temperature: 1 };
    const whole = await writer.chat.completions.create(request);
    expect(whole).toMatchObject({ object: "chat.completion", model: "tiny" });
    let content = "";
    for await (const chunk of await writer.chat.completions.create({ ...request, stream: true })) {
      content += chunk.choices[0].delta.content ?? "";
    }
    expect(content).toBe(whole.choices[0].message.content);
    const { choices } = await writer.completions.create({ prompt: "my", max_tokens: 3, n: 2 });
    expect(choices).toHaveLength(2);
    await writer.close();
  });

  test("refuses by the same errors, and goes on", async () => {
    const writer = await open(names);
    const refusals: [Promise<unknown>, new (...args: never[]) => Error, object][] = [
      [
        collect(writer.generate({ temprature: 1 } as object)),
        ConfigError,
        { setting: "temprature", name: "ConfigError" },
      ],
      [
        collect(writer.stream({ prompt: "Ö" })),
        UserError,
        { message: expect.stringMatching(/^The model has no token for "Ö"/) },
      ],
      [
        writer.completions.create({ n: 0 }),
        RequestError,
        { message: "n is 0; it must be a whole number from 1 to 128.", status: 400, param: "n" },
      ],
      [
        writer.chat.completions.create({ messages: [], stream: true }),
        RequestError,
        { param: "messages", type: "invalid_request_error" },
      ],
    ];
    const errors = await Promise.allSettled(refusals.map(([refused]) => refused));
    for (const [i, [, kind, about]] of refusals.entries()) {
      const error = (errors[i] as PromiseRejectedResult).reason;
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject(about);
    }
    expect(await collect(writer.generate({ num_samples: 1 }))).toHaveLength(1);
    await writer.close();
  });

  test("ends where nobody reads on, and where its signal says so", async () => {
    const writer = await open(names);
    const endless = { max_tokens: 1e9, logit_bias: { [names.tokenizer.bos]: -1e9 } };
    const { value } = await writer.stream({ ...endless, prompt: "ad" }).next();
    expect(value).toMatchObject({ text: "ad" });
    const left = writer.stream(endless);
    await left.next();
    await left.return(undefined);
    const controller = new AbortController();
    const { signal } = controller;
    let pieces = 0;
    for await (const _ of writer.stream({ ...endless, signal })) {
      if (++pieces === 3) controller.abort();
    }
    expect(pieces).toBe(3);
    const reason = new Error("gone");
    const more = { max_tokens: 1e9, logit_bias: { [names.tokenizer.bos]: -100 } };
    const leaving = new AbortController();
    const waits = writer.completions.create(more, { signal: leaving.signal });
    setTimeout(() => leaving.abort(reason), 30);
    await expect(waits).rejects.toBe(reason);
    const gone = { signal: AbortSignal.abort(reason) };
    await expect(writer.completions.create(more, gone)).rejects.toBe(reason);
    await writer.close();
  });

  test("is closed once, and then says so", async () => {
    const writer = await open(names);
    const endless = { max_tokens: 1e9, logit_bias: { [names.tokenizer.bos]: -100 } };
    const waits = writer.completions.create(endless);
    const refused = waits.catch(String);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await writer.close();
    await writer.close();
    expect(await refused).toMatch("The model is closed, so that it writes no more");
    await expect(writer.completions.create({})).rejects.toThrow("The model is closed");
    await expect(collect(writer.generate())).rejects.toThrow("The model is closed");
  });
});

test("a reader that is slow lets the text at the other end wait", async () => {
  const { near, far } = worker();
  let sent = 0;
  const post = far.postMessage.bind(far);
  far.postMessage = ((message: object) => {
    if ("item" in message) sent++;
    post(message);
  }) as typeof far.postMessage;
  const writer = await load(names, { device: "cpu", worker: near });
  const endless = { max_tokens: 1e9, logit_bias: { [names.tokenizer.bos]: -1e9 } };
  let read = 0;
  for await (const _ of writer.stream(endless)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(sent).toBeLessThanOrEqual(++read + 1);
    if (read === 20) break;
  }
  await writer.close();
});

test("a stream that nobody iterates is left at the other end: once it is closed, given up or held by nobody", async () => {
  const { near } = worker();
  const left: number[] = [];
  const post = near.postMessage.bind(near);
  near.postMessage = (message) => {
    const { id, ...others } = message as { id: number };
    if ("leave" in others) left.push(id);
    post(message);
  };
  const writer = await load(names, { device: "cpu", worker: near });
  const open = (signal?: AbortSignal) =>
    writer.completions.create({ prompt: "a", stream: true }, { signal }) as Promise<
      AsyncGenerator<unknown>
    >;
  await (await open()).return(undefined);
  expect(left).toEqual([2]);
  const leaving = new AbortController();
  const given = await open(leaving.signal);
  leaving.abort(new Error("gone"));
  expect(left).toEqual([2, 3]);
  await expect(given.next()).rejects.toThrow("gone");
  await collect(await open()); // comes to its end by itself
  await open();
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  await expect
    .poll(() => {
      collectGarbage();
      return left;
    })
    .toEqual([2, 3, 5]);
  await writer.close();
});

test("what cannot be loaded there is refused here, as is a second model, and a worker that stopped", async () => {
  const damaged = toBytes(names).subarray(1);
  await expect(load(damaged, { worker: worker().near })).rejects.toThrow(ModelFileError);
  const { near } = worker();
  await load(names, { device: "cpu", worker: near });
  await expect(load(names, { worker: near })).rejects.toThrow("The worker has a model");
  const listeners: Record<string, (event: object) => void> = {};
  const broken: WorkerLike = {
    postMessage: () => queueMicrotask(() => listeners.error({ message: "no such file" })),
    addEventListener: (type, listener) => (listeners[type] = listener as () => void),
  };
  await expect(load(names, { worker: broken })).rejects.toThrow(
    "The worker stopped: no such file.",
  );
});

describe("a model lies", () => {
  const written = async (writer: Writer) => {
    const texts = await collect(writer.generate({ num_samples: 2, seed: 1 }));
    await writer.close();
    return texts.map(({ text }) => text);
  };

  test("in a folder, by its path or address, or on a server, as a folder or a file", async () => {
    const folder = temporaryFolder();
    await save(names, folder);
    const bytes = toBytes(names);
    const asked: string[] = [];
    const server = createServer(({ url }, response) => {
      asked.push(url!);
      const known = url!.startsWith("/models/tiny/");
      const isPage = url!.startsWith("/page/");
      // As a simple server has it, all is a page by its type.
      response.setHeader("content-type", "text/html; charset=utf-8");
      const page = "<!doctype html><title>Not here</title>";
      response.writeHead(known || isPage ? 200 : 404).end(known ? bytes : isPage ? page : "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const sources = [
        folder,
        pathToFileURL(folder),
        `${site}/models/tiny`,
        new URL(`${site}/models/tiny/`),
        new URL(`${site}/models/tiny/other.safetensors?v=2`),
      ];
      const [first, ...others] = await Promise.all(
        sources.map(async (source) => written(await load(source, { device: "cpu" }))),
      );
      for (const other of others) expect(other).toEqual(first);
      await load(`${site}/models/tiny`, { best: true });
      expect(new Set(asked)).toEqual(
        new Set(
          ["model", "other", "best"].map((name) => expect.stringContaining(`/tiny/${name}.`)),
        ),
      );
      // As a page has it, whose addresses are its own.
      const page = { baseURI: `${site}/models/` };
      Object.assign(globalThis, { document: page });
      const model = await inBrowser.loadModel("tiny");
      expect(model.values).toEqual((await load(bytes)).values);
      expect((await inBrowser.loadBest("tiny")).step).toBe(model.step);
      await expect(load(`${site}/none`)).rejects.toThrow(
        `${site}/none/model.safetensors cannot be fetched: the server answers 404 Not Found. A model's folder is needed`,
      );
      await expect(load(`${site}/page`)).rejects.toThrow(
        `${site}/page/model.safetensors cannot be fetched: the server answers with a page, as some do`,
      );
    } finally {
      Reflect.deleteProperty(globalThis, "document");
      server.close();
    }
    await expect(load(`${site}/gone`)).rejects.toThrow(ModelFileError);
  });

  test.each<[object, string]>([
    [{ devcie: "cpu" }, 'There is no option "devcie". Did you mean device?'],
    [{ device: "gpu" }, 'device is "gpu"; it must be auto or webgpu or cpu.'],
  ])("the options %j are refused", async (options, sentence) => {
    await expect(load(names, options)).rejects.toThrow(sentence);
  });

  test.each([undefined, 3, {}, []])("%j is no model", async (from) => {
    await expect(load(from as never)).rejects.toThrow("A model is loaded from its folder");
  });
});
