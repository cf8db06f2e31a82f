// The objects of OpenAI's interface, against the types of its own client, and what clients rely on in streams.

import type OpenAI from "openai";
import { beforeAll, describe, expect, test } from "vitest";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  CompletionLogprobs,
} from "../../src/index.ts";
import type { ResponseEvent, ResponseObject } from "../../src/api/objects.ts";
import { chunksOf, collect, objectOf, type Served, served } from "../harness/service.ts";

let names: Served;
let chat: Served;
beforeAll(async () => {
  [names, chat] = await Promise.all([served("names"), served("chat")]);
});

// Compiled, not run. A prompt's first token has no log-probability, of which the client's types know nothing.
type Lists = Record<"token_logprobs" | "top_logprobs", unknown>;
type Told<T extends { choices: { logprobs: unknown }[] }> = Omit<T, "choices"> & {
  choices: (Omit<T["choices"][number], "logprobs" | "finish_reason"> & {
    logprobs: Omit<CompletionLogprobs, keyof Lists> | null;
  })[];
};
export const compiled = [
  (each: ChatCompletion) => each satisfies OpenAI.Chat.ChatCompletion,
  (each: ChatCompletionChunk) => each satisfies OpenAI.Chat.ChatCompletionChunk,
  (each: Completion) => each satisfies Told<OpenAI.Completion>,
  (each: ResponseObject) =>
    each satisfies Omit<OpenAI.Responses.Response, "output_text" | "access_programs">,
  (each: ResponseEvent & { type: "response.output_text.delta" }) =>
    each satisfies OpenAI.Responses.ResponseTextDeltaEvent,
  (each: ResponseEvent & { type: "response.output_text.done" }) =>
    each satisfies OpenAI.Responses.ResponseTextDoneEvent,
];

const circumstances = { created: expect.any(Number), system_fingerprint: expect.any(String) };
const user = (content: string) => [{ role: "user", content }];
const ask = { messages: user("my red cat"), max_tokens: 5, seed: 3 };

test("models", () => {
  const model = { id: "names", object: "model", created: 0, owned_by: "microgpt-webgpu" };
  expect(names.service.models()).toEqual({ object: "list", data: [model] });
});

test("a completion", async () => {
  const request = { model: "gpt-3.5-turbo", prompt: "a", max_tokens: 3, seed: 1, user: "me" };
  const object = await objectOf(names.service.completions(request));
  expect(object).toEqual({
    ...circumstances,
    id: expect.stringMatching(/^cmpl-[0-9a-f]{24}$/),
    object: "text_completion",
    model: "names",
    choices: [
      { index: 0, text: expect.any(String), logprobs: null, finish_reason: expect.any(String) },
    ],
    usage: expect.any(Object),
  });
  const { prompt_tokens, completion_tokens, total_tokens } = object.usage;
  expect(prompt_tokens).toBe(1);
  expect(total_tokens).toBe(1 + completion_tokens);
  const [{ text, finish_reason }] = object.choices;
  expect(completion_tokens).toBe(text.length + (finish_reason === "stop" ? 1 : 0));
});

test("a chat completion", async () => {
  const object = await objectOf(chat.service.chatCompletions({ ...ask, tools: [] }));
  expect(object).toEqual({
    ...circumstances,
    id: expect.stringMatching(/^chatcmpl-[0-9a-f]{24}$/),
    object: "chat.completion",
    model: "chat",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: expect.any(String), refusal: null },
        logprobs: null,
        finish_reason: "length",
      },
    ],
    // BOS, <|user|>, the ten characters, <|end_turn|> and <|assistant|>
    usage: { prompt_tokens: 14, completion_tokens: 5, total_tokens: 19 },
  });
  expect(object.choices[0].message.content).toHaveLength(5);
});

test("a response", async () => {
  const request = { input: "my red cat", max_output_tokens: 5, seed: 3, metadata: { a: "b" } };
  const object = await objectOf(chat.service.responses(request));
  const same = await objectOf(chat.service.chatCompletions(ask));
  expect(object).toMatchObject({
    id: expect.stringMatching(/^resp_/),
    object: "response",
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
    max_output_tokens: 5,
    metadata: { a: "b" },
    store: false,
    temperature: chat.model.config.temperature,
    output: [
      {
        id: expect.stringMatching(/^msg_/),
        type: "message",
        role: "assistant",
        status: "incomplete",
        content: [{ type: "output_text", text: same.choices[0].message.content, annotations: [] }],
      },
    ],
    usage: { input_tokens: 14, output_tokens: 5, total_tokens: 19 },
  });
});

test("the samples and the answer of the first servers, with their defaults", async () => {
  const { samples } = await objectOf(names.service.samples({ num_samples: 3 }));
  const again = names.generator.samples({ num_samples: 3, temperature: 0.5, seed: 42 });
  expect(samples).toEqual((await collect(again)).map(({ text }) => text));
  expect((await objectOf(names.service.samples({}))).samples).toEqual(samples.slice(0, 1));
  const answer = await objectOf(chat.service.answer({ messages: ask.messages, max_tokens: 5 }));
  expect(answer).toEqual({ role: "assistant", content: expect.stringMatching(/^.{0,5}$/) });
  expect(Object.keys(answer)).toEqual(["role", "content"]);
});

describe("a stream", () => {
  test("of a chat: a role, contents, why it ends, and the usage if it is asked for", async () => {
    const n = 3;
    const request = { ...ask, n, stream: true };
    const stream_options = { include_usage: true };
    const chunks = await chunksOf(chat.service.chatCompletions({ ...request, stream_options }));
    expect(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
    for (let i = 0; i < n; i++) {
      const own = chunks.flatMap(({ choices }) => choices).filter(({ index }) => index === i);
      expect(own[0].delta).toEqual({ role: "assistant", content: "" });
      expect(own.at(-1)).toMatchObject({ delta: {}, finish_reason: expect.any(String) });
      for (const { delta, finish_reason } of own.slice(1, -1)) {
        expect(delta).toEqual({ content: expect.stringMatching(/./) });
        expect(finish_reason).toBeNull();
      }
    }
    const object = await objectOf(chat.service.chatCompletions({ ...ask, n }));
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: object.usage });
    expect(chunks.slice(0, -1).map(({ usage }) => usage)).not.toContainEqual(expect.anything());
    const plain = await chunksOf(chat.service.chatCompletions(request));
    expect(plain).toHaveLength(chunks.length - 1);
    for (const chunk of plain) expect(chunk).not.toHaveProperty("usage");
  });

  test("of the newer interface: its events in their order, each with a number", async () => {
    const request = { input: "my red cat", max_output_tokens: 3, seed: 3 };
    const events = await chunksOf(chat.service.responses({ ...request, stream: true }));
    expect(events.map(({ type }) => type.replace("response.", ""))).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      ...Array<string>(3).fill("output_text.delta"),
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "incomplete",
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()]);
    const { output } = await objectOf(chat.service.responses(request));
    const [{ text }] = output[0].content;
    const deltas = events.flatMap((event) => ("delta" in event ? [event.delta] : []));
    expect(deltas.join("")).toBe(text);
    const items = new Set(events.flatMap((event) => ("item_id" in event ? [event.item_id] : [])));
    expect(items.size).toBe(1);
    expect(events.at(-1)).toMatchObject({
      response: { status: "incomplete", output: [{ id: [...items][0] }] },
    });
  });

  const joinedTexts = (chunks: CompletionChunk[]) => {
    const texts: string[] = [];
    for (const { index, text } of chunks.flatMap(({ choices }) => choices)) {
      texts[index] = (texts[index] ?? "") + text;
    }
    return texts;
  };

  test.each(["names", "text", "words"] as const)(
    "of %s is what the object is, piece by piece: echo, stop strings and log-probabilities",
    async (kind) => {
      const { service } = await served(kind);
      const prompt = kind === "names" ? ["ad", "g"] : ["Rain on", "the road"];
      const some = { prompt, n: 2, seed: 5, temperature: 1, max_tokens: 12 };
      for (const more of [{}, { echo: true }, { stop: ["n", "a "] }, { echo: true, logprobs: 2 }]) {
        const request = { ...some, ...more };
        const object = await objectOf(service.completions(request));
        const chunks = await chunksOf(service.completions({ ...request, stream: true }));
        expect(joinedTexts(chunks)).toEqual(object.choices.map(({ text }) => text));
        const all = chunks.flatMap(({ choices }) => choices);
        for (const { text } of all) expect(text.isWellFormed()).toBe(true);
        for (const { index, finish_reason, logprobs, text } of object.choices) {
          const own = all.filter((choice) => choice.index === index);
          expect(own.map((choice) => choice.finish_reason).filter(Boolean)).toEqual([
            finish_reason,
          ]);
          expect(own.at(-1)).toMatchObject({ text: "", finish_reason });
          const tokens = own.flatMap((choice) => choice.logprobs?.tokens ?? []);
          expect(tokens).toEqual(logprobs?.tokens ?? []);
          expect("stop" in more && /n|a /.test(text)).toBe(false);
        }
      }
    },
  );
});

test("text i of n is that of seed + i, whatever is written beside it", async () => {
  const request = { ...ask, temperature: 1, max_tokens: 8 };
  const texts = async (more: object) => {
    const { choices } = await objectOf(chat.service.chatCompletions({ ...request, ...more }));
    return choices.map(({ message }) => message.content);
  };
  const together = await texts({ n: 4, seed: 10 });
  const alone = await Promise.all([10, 11, 12, 13].map((seed) => texts({ seed })));
  expect(together).toEqual(alone.flat());
  expect(new Set(together).size).toBeGreaterThan(1);
});

test("without a seed each answer has one of its own", async () => {
  const request = { temperature: 1, max_tokens: 12 };
  const texts = await Promise.all(
    Array.from({ length: 8 }, () => objectOf(names.service.completions(request))),
  );
  expect(new Set(texts.map(({ choices }) => choices[0].text)).size).toBeGreaterThan(1);
  expect(new Set(texts.map(({ id }) => id)).size).toBe(8);
});

test("content comes as a text or in parts, a developer is the system, and either name of max_tokens does", async () => {
  const contentOf = async (request: object) => {
    const { choices, usage } = await objectOf(chat.service.chatCompletions(request));
    return [choices[0].message.content, usage];
  };
  const parts = [{ type: "text", text: "my red cat" }];
  const messages = [
    { role: "system", content: "be" },
    { role: "user", content: "my red cat" },
  ];
  const same = [
    { messages, max_tokens: 4 },
    { messages: [messages[0], { role: "user", content: parts }], max_tokens: 4 },
    { messages: [{ role: "developer", content: "be" }, messages[1]], max_completion_tokens: 4 },
    { messages, max_completion_tokens: 4, max_tokens: 4, stop: null, n: null, logprobs: false },
  ];
  const [first, ...others] = await Promise.all(
    same.map((request) => contentOf({ ...request, seed: 1, temperature: 1 })),
  );
  for (const other of others) expect(other).toEqual(first);
});
