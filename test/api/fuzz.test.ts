// Random requests, most of their fields right, some wrong: each gets an object, a stream or a RequestError, nothing else.

import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { RequestError } from "../../src/errors.ts";
import { type Served, served } from "../harness/service.ts";

let models: Served[];
beforeAll(async () => {
  models = await Promise.all([served("names"), served("text"), served("talk")]);
});

const few = fc.integer({ min: 0, max: 6 });
const text = fc.oneof(
  fc.constantFrom("a", "ada", "my red cat", "", "雨🙂", "\ud800", "<|user|>", "\0", "a\r\nb"),
  fc.string({ maxLength: 12, unit: "binary" }),
);
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(null, -1, 0.5, 1e300, NaN, "a", [], {}, true, [[]], { type: "text" }),
);
const role = fc.constantFrom("user", "assistant", "system", "developer", "tool");
const part = fc.record({ type: fc.constantFrom("text", "input_text", "image_url"), text });
const content = fc.oneof(text, fc.array(part, { maxLength: 2 }));
const turns = fc
  .array(fc.record({ role, content }), { maxLength: 3 })
  .map((before) => [...before, { role: "user", content: "my red cat" }]);
const ids = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 5 });

/** What a field of that name may well be; what else, anything may be. */
const likely: Record<string, fc.Arbitrary<unknown>> = {
  prompt: fc.oneof(text, fc.array(text, { maxLength: 3 }), ids, fc.array(ids, { maxLength: 2 })),
  messages: turns,
  input: fc.oneof(text, turns),
  instructions: text,
  max_tokens: few,
  max_completion_tokens: few,
  max_output_tokens: few,
  num_samples: few,
  n: few,
  temperature: fc.constantFrom(0, 0.5, 1, 2, 1e-300, 1e300),
  top_p: fc.constantFrom(1, 0.5, 1e-9),
  top_k: few,
  min_p: fc.constantFrom(0, 0.1, 1),
  repetition_penalty: fc.constantFrom(1, 1.3, 0.5),
  seed: fc.constantFrom(0, 1, 2 ** 53 - 1),
  stop: fc.oneof(text, fc.array(text, { maxLength: 3 })),
  logit_bias: fc.dictionary(fc.constantFrom("0", "3", "99", "x"), fc.constantFrom(-100, 5, 100)),
  logprobs: fc.oneof(few, fc.boolean()),
  top_logprobs: few,
  stream: fc.boolean(),
  stream_options: fc.record({ include_usage: fc.boolean() }),
  echo: fc.boolean(),
  presence_penalty: fc.constant(0),
  truncation: fc.constantFrom("auto", "disabled"),
  tools: fc.constant([]),
  response_format: fc.constant({ type: "text" }),
  metadata: fc.dictionary(text, text),
  zzz: anything,
};
const own = ["num_samples", "messages", "temperature", "seed", "max_tokens"];
const every = Object.keys(likely).filter((name) => name !== "num_samples");
const kinds = {
  completions: every,
  chatCompletions: every,
  responses: every,
  samples: own.filter((name) => name !== "messages"),
  answer: own.slice(1),
};
const often = {
  completions: ["stream", "max_tokens"],
  chatCompletions: ["messages", "stream", "max_tokens"],
  responses: ["input", "stream", "max_output_tokens"],
  samples: ["max_tokens"],
  answer: ["messages", "max_tokens"],
};

/** A kind of request and a body for it, of a few fields; numbers are such as can be waited for. */
const request = fc
  .constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[]))
  .chain((kind) => {
    const some = fc.uniqueArray(fc.constantFrom(...kinds[kind]), { maxLength: 4 });
    return fc.tuple(fc.constant(kind), some);
  })
  .chain(([kind, some]) => {
    const fields = [...new Set([...often[kind], ...some])].map((name) => {
      const right = { arbitrary: likely[name], weight: 20 };
      return [name, fc.oneof(right, { arbitrary: anything, weight: 1 })] as const;
    });
    return fc.tuple(fc.constant(kind), fc.record(Object.fromEntries(fields)));
  })
  .filter(([, body]) => !Object.values(body).some((value) => isLong(value)))
  .map(([kind, body]) => ({ kind, body: body as Record<string, unknown> }));

test("a request gets an object, a stream or a RequestError", async () => {
  const counts = { object: 0, stream: 0, error: 0 };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(0, 1, 2), request, async (i, { kind, body }) => {
      try {
        const answer = await models[i].service[kind](body);
        if ("object" in answer) {
          counts.object++;
          check(answer.object);
        } else {
          counts.stream++;
          for await (const chunk of answer.stream) check(chunk);
        }
      } catch (error) {
        if (!(error instanceof RequestError) || error.status !== 400) throw error;
        if (!/^\S.*[.?]$/s.test(error.message)) throw error;
        counts.error++;
        check(error.toJSON());
      }
    }),
    { numRuns: 2000, seed: 13 },
  );
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(100);
});

/** It can be sent as JSON, without a loss, as well-formed Unicode. */
function check(value: unknown): void {
  const json = JSON.stringify(value);
  expect(json.isWellFormed()).toBe(true);
  expect(JSON.parse(json)).toEqual(value);
}

function isLong(value: unknown): boolean {
  return typeof value === "number" && value > 128 && value <= 2 ** 53 - 2;
}
