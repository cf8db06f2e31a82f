// Requests that cannot be answered: each is refused by a sentence that names the field, before anything is drawn.

import { beforeAll, describe, expect, test } from "vitest";
import { RequestError } from "../../src/errors.ts";
import { type Served, served } from "../harness/service.ts";

let names: Served;
let talk: Served;
beforeAll(async () => {
  [names, talk] = await Promise.all([served("names"), served("talk")]);
});

const messages = [{ role: "user", content: "hi" }];

/** Field, what is wrong with it, and what is said, from the beginning. */
type Row = [field: string, request: object, sentence: string];

const drawing: Row[] = [
  ["model", { model: 3 }, "model is 3; it must be a text."],
  ["temperature", { temperature: -1 }, "temperature is -1; it must be a number of at least 0."],
  [
    "temperature",
    { temperature: "hot" },
    'temperature is "hot"; it must be a number of at least 0.',
  ],
  ["top_p", { top_p: 0 }, "top_p is 0; it must be a number above 0 and of at most 1."],
  ["top_p", { top_p: 1.5 }, "top_p is 1.5; it must be a number above 0 and of at most 1."],
  ["top_k", { top_k: 0.5 }, "top_k is 0.5; it must be a whole number of at least 0."],
  ["min_p", { min_p: 2 }, "min_p is 2; it must be a number from 0 to 1."],
  [
    "repetition_penalty",
    { repetition_penalty: 0 },
    "repetition_penalty is 0; it must be a number from 0.01 to 100.",
  ],
  [
    "presence_penalty",
    { presence_penalty: 0.5 },
    "presence_penalty is 0.5; it must be 0. There is no presence_penalty here; repetition_penalty makes",
  ],
  [
    "frequency_penalty",
    { frequency_penalty: -1 },
    "frequency_penalty is -1; it must be 0. There is no frequency_penalty here; repetition_penalty makes",
  ],
  ["seed", { seed: -1 }, "seed is -1; it must be a whole number of at least 0."],
  ["seed", { seed: 2 ** 60 }, "seed is 1152921504606847000; it must be a whole number of at least"],
  [
    "stop",
    { stop: 3 },
    "stop is 3; it must be a text, not an empty one, of at most 1000 characters, or a list of texts",
  ],
  [
    "stop[1]",
    { stop: ["a", ""] },
    'stop[1] is ""; it must be a text, not an empty one, of at most',
  ],
  ["stop", { stop: Array(17).fill("a") }, "stop is ["],
  ["logit_bias", { logit_bias: [1] }, "logit_bias is [1]; it must be an object."],
  ["logit_bias.1", { logit_bias: { 1: 101 } }, "logit_bias.1 is 101; it must be a number from"],
  [
    "logit_bias",
    { logit_bias: { 9999: 1 } },
    'logit_bias has 1 for "9999"; it takes ids of tokens',
  ],
  ["stream", { stream: 1 }, "stream is 1; it must be true or false."],
];

const completions: Row[] = [
  ["prompt", { prompt: 3 }, "prompt is 3; it must be a text, or a list of texts, not an empty one"],
  ["prompt", { prompt: [] }, "prompt is []; it must be"],
  ["prompt[1]", { prompt: ["a", 3] }, "prompt[1] is 3; it must be a text."],
  ["prompt[1]", { prompt: [3, -1] }, "prompt[1] is -1; it must be a whole number of at least 0."],
  ["prompt[0][1]", { prompt: [[3, "a"]] }, 'prompt[0][1] is "a"; it must be a whole number'],
  ["prompt", { prompt: [9999] }, "prompt[0] is 9999, but the model's tokens have the ids 0 to"],
  ["prompt", { prompt: "Ö" }, 'The model has no token for "Ö"'],
  [
    "prompt",
    { prompt: "a".repeat(17) },
    "prompt has 17 tokens, and the model's context has room for 15; make it shorter.",
  ],
  ["max_tokens", { max_tokens: -1 }, "max_tokens is -1; it must be a whole number of at least 0."],
  ["n", { n: 0 }, "n is 0; it must be a whole number from 1 to 128."],
  ["n", { n: 100, prompt: ["a", "a", "a"] }, "n is 100 for 3 prompts; a request gets 256 texts at"],
  ["echo", { echo: "yes" }, 'echo is "yes"; it must be true or false.'],
  ["logprobs", { logprobs: true }, "logprobs is true; it must be a whole number from 0 to 20."],
  ["logprobs", { logprobs: 21 }, "logprobs is 21; it must be a whole number from 0 to 20."],
  ["best_of", { best_of: 2 }, "best_of is 2; it must be 1. Models here choose none of several"],
  ["suffix", { suffix: "z" }, 'suffix is "z"; it must be a text, an empty one. Models here write'],
  ["stream_options", { stream_options: 1 }, "stream_options is 1; it must be an object."],
  [
    "stream_options.include_usage",
    { stream_options: { include_usage: 1 } },
    "stream_options.include_usage is 1; it must be true or false.",
  ],
];

const noTools = "Models here call no tools: leave it out.";
const of = (...turns: unknown[]) => ({ messages: turns });
const chats: Row[] = [
  ["messages", { messages: undefined }, "messages is missing; it must be a list of objects with"],
  ["messages", of(), "messages is []; it must be a list of objects with role and content, not an"],
  ["messages[0]", of("hi"), 'messages[0] is "hi"; it must be an object with role and content.'],
  [
    "messages[0].content",
    of({ role: "user" }),
    "messages[0].content is missing; it must be a text",
  ],
  [
    "messages[0].content",
    of({ role: "user", content: null }),
    "messages[0].content is null; it must",
  ],
  [
    "messages[0].role",
    of({ role: "tool", content: "a" }),
    'messages[0].role is "tool"; it must be "system" or "developer" or "user" or "assistant".',
  ],
  [
    "messages[0].content[0].type",
    of({ role: "user", content: [{ type: "image_url", image_url: {}, text: "" }] }),
    'messages[0].content[0].type is "image_url"; it must be "text". Models here read text alone.',
  ],
  [
    "messages",
    of({ role: "assistant", content: "a" }),
    "The last message is the assistant's; it must be the user's",
  ],
  ["messages", of({ role: "system", content: "a" }, messages[0]), "The model knows no turn of the"],
  [
    "messages",
    of({ role: "user", content: "a b".repeat(99) }),
    "The last message has 202 tokens with those around it, and of the context's 64 there is room for",
  ],
  ["max_tokens", { max_tokens: 0 }, "max_tokens is 0; it must be a whole number of at least 1."],
  [
    "max_completion_tokens",
    { max_completion_tokens: 0.5 },
    "max_completion_tokens is 0.5; it must",
  ],
  [
    "max_completion_tokens",
    { max_tokens: 3, max_completion_tokens: 4 },
    "max_tokens is 3, but max_completion_tokens 4; they are one thing: give the latter.",
  ],
  ["logprobs", { logprobs: 3 }, "logprobs is 3; it must be true or false."],
  ["top_logprobs", { top_logprobs: 3 }, "top_logprobs is 3, but logprobs is not true; it must be"],
  ["top_logprobs", { logprobs: true, top_logprobs: 21 }, "top_logprobs is 21; it must be a whole"],
  ["tools", { tools: [{}] }, `tools is [{}]; it must be a list, an empty one. ${noTools}`],
  ["functions", { functions: [{}] }, "functions is [{}]; it must be a list, an empty one."],
  ["tool_choice", { tool_choice: "required" }, 'tool_choice is "required"; it must be "none" or'],
  ["function_call", { function_call: {} }, 'function_call is {}; it must be "none" or "auto".'],
  [
    "response_format.type",
    { response_format: { type: "json_object" } },
    'response_format.type is "json_object"; it must be "text". Models here write text alone.',
  ],
  ["modalities[0]", { modalities: ["audio"] }, 'modalities[0] is "audio"; it must be "text".'],
];

const nothingKept = "Nothing is kept here between requests";
const responses: Row[] = [
  ["input", { input: undefined }, "input is missing; it must be a text, or a list of objects with"],
  [
    "input[0].content[0].type",
    { input: [{ role: "user", content: [{ type: "input_image", text: "" }] }] },
    'input[0].content[0].type is "input_image"; it must be "input_text" or "output_text" or "text".',
  ],
  ["input[0].type", { input: [{ type: "reasoning", ...messages[0] }] }, 'input[0].type is "reason'],
  ["input", { instructions: "be" }, "The model knows no turn of the system"],
  ["instructions", { instructions: ["be"] }, 'instructions is ["be"]; it must be a text.'],
  ["max_output_tokens", { max_output_tokens: 0 }, "max_output_tokens is 0; it must be a whole"],
  ["truncation", { truncation: "most" }, 'truncation is "most"; it must be "auto" or "disabled".'],
  [
    "input",
    {
      input: Array.from({ length: 21 }, (_, i) => ({
        role: i % 2 === 0 ? "user" : "assistant",
        content: "my red cat",
      })),
      truncation: "disabled",
    },
    'The context has no room for all of input, and truncation is "disabled"; make it shorter, or',
  ],
  ["metadata.a", { metadata: { a: 1 } }, "metadata.a is 1; it must be a text."],
  ["text.format.type", { text: { format: { type: "json_schema" } } }, "text.format.type is "],
  ["tools", { tools: [{}] }, "tools is [{}]; it must be a list, an empty one."],
  ["top_logprobs", { top_logprobs: 2 }, "top_logprobs is 2; it must be 0. Log-probabilities are"],
  ["store", { store: true }, `store is true; it must be false. ${nothingKept}: leave it out.`],
  ["background", { background: true }, `background is true; it must be false. ${nothingKept}`],
  [
    "previous_response_id",
    { previous_response_id: "resp_1" },
    `previous_response_id is "resp_1"; it must be left out. ${nothingKept}: give all that was said`,
  ],
  ["conversation", { conversation: {} }, `conversation is {}; it must be left out. ${nothingKept}`],
  ["prompt", { prompt: { id: "a" } }, 'prompt is {"id":"a"}; it must be left out. There are no'],
];

const seeds: Row[] = [
  [
    "num_samples",
    { num_samples: 51 },
    "num_samples is 51; it must be a whole number from 1 to 50.",
  ],
  ["num_samples", { num_samples: 0 }, "num_samples is 0; it must be a whole number from 1 to 50."],
  ["temperature", { temperature: -0.5 }, "temperature is -0.5; it must be a number of at least 0."],
  ["seed", { seed: "42" }, 'seed is "42"; it must be a whole number of at least 0.'],
  ["max_tokens", { max_tokens: -3 }, "max_tokens is -3; it must be a whole number of at least 0."],
  ["temprature", { temprature: 1 }, 'There is no field "temprature". Did you mean temperature?'],
];

/** What of a refusal a row tells. */
function told([param, , message]: Row) {
  const type = "invalid_request_error";
  return { message, isSentence: true, status: 400, type, param, code: expect.any(String) };
}

async function refusal(answer: Promise<unknown>, [, , sentence]: Row) {
  try {
    await answer;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { status } = error;
    const { message, ...others } = error.toJSON().error;
    const isSentence = /[.?]$/.test(message);
    return { message: message.slice(0, sentence.length), isSentence, status, ...others };
  }
  return "nothing";
}

describe("refused by its name", () => {
  test.each([...drawing, ...completions])("completions: %s %j", async (...row) => {
    expect(await refusal(names.service.completions(row[1]), row)).toEqual(told(row));
  });
  test.each([...drawing, ...chats])("chat completions: %s %j", async (...row) => {
    expect(await refusal(talk.service.chatCompletions({ messages, ...row[1] }), row)).toEqual(
      told(row),
    );
  });
  test.each([...drawing, ...responses])("responses: %s %j", async (...row) => {
    expect(await refusal(talk.service.responses({ input: "hi", ...row[1] }), row)).toEqual(
      told(row),
    );
  });
  test.each(seeds)("the first servers' generate: %s %j", async (...row) => {
    expect(await refusal(names.service.samples(row[1]), row)).toEqual(told(row));
  });
  test.each([...seeds.slice(2), ...chats.slice(0, 3)])(
    "the first servers' chat: %s %j",
    async (...row) => {
      expect(await refusal(talk.service.answer({ messages, ...row[1] }), row)).toEqual(told(row));
    },
  );
});

test("a model of documents answers nobody", async () => {
  const sentence = "The model was not trained on conversations, so it answers nobody: train one";
  const { service } = names;
  const [row, other]: Row[] = ["messages", "input"].map((field) => [field, {}, sentence]);
  expect(await refusal(service.chatCompletions({ messages }), row)).toEqual(told(row));
  expect(await refusal(service.responses({ input: "hi" }), other)).toEqual(told(other));
  expect(await refusal(service.answer({ messages }), row)).toEqual(told(row));
});

test.each([null, [], "hi", 3, undefined])("the body %j is no object", async (body) => {
  const answer = names.service.completions(body);
  await expect(answer).rejects.toThrow(/^The body is .*; it must be an object\.$/);
});

test("of what is asked for and of no consequence, nothing is refused", async () => {
  const common = { model: "gpt-4o", user: "me", metadata: {}, service_tier: "auto", seed: null };
  const penalties = { presence_penalty: 0, frequency_penalty: 0, logit_bias: {}, stop: [] };
  const text = names.service.completions({ ...common, ...penalties, best_of: 1, suffix: "" });
  const answer = talk.service.chatCompletions({
    ...common,
    ...penalties,
    messages: [{ ...messages[0], name: "me" }],
    max_tokens: 2,
    store: true,
    tools: [],
    tool_choice: "auto",
    parallel_tool_calls: true,
    response_format: { type: "text" },
    modalities: ["text"],
    reasoning_effort: "low",
  });
  const response = talk.service.responses({
    ...common,
    input: [{ type: "message", id: "msg_1", status: "completed", ...messages[0] }],
    max_output_tokens: 2,
    store: false,
    previous_response_id: null,
    include: ["reasoning.encrypted_content"],
    text: { format: { type: "text" }, verbosity: "low" },
    reasoning: { effort: "low" },
    tools: [],
    tool_choice: "auto",
    truncation: "disabled",
  });
  const objects = await Promise.all([text, answer, response]);
  expect(objects.map((each) => Object.keys(each))).toEqual(Array(3).fill(["object"]));
});

test("an aborted request ends with the signal's reason, an answer or a stream, and before it began", async () => {
  const reason = new Error("gone");
  const request = { prompt: "a", max_tokens: 200, temperature: 1, logit_bias: { 0: 0 } };
  const gone = AbortSignal.abort(reason);
  await expect(names.service.completions(request, gone)).rejects.toBe(reason);
  const controller = new AbortController();
  const answer = await talk.service.completions(
    { ...request, stream: true, n: 2 },
    controller.signal,
  );
  const read = async () => {
    for await (const _ of (answer as { stream: AsyncIterable<unknown> }).stream) {
      controller.abort(reason);
    }
  };
  await expect(read()).rejects.toBe(reason);
});
