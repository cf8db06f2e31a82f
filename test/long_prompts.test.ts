// Prompts and conversations that are far longer than the context: what is said to a model may be a megabyte.

import { expect, test } from "vitest";
import { finish } from "../src/finish.ts";
import { fitting } from "../src/generation/answer.ts";
import { generate, train } from "../src/index.ts";
import { Breather } from "../src/platform/breather.ts";
import { chatTokens, withTokens } from "../src/text/chat.ts";
import type { Conversation } from "../src/text/conversation.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { encodePrompt, encodingPrompt } from "../src/tokenizer/prompt.ts";
import { TextStream } from "../src/tokenizer/text_stream.ts";
import { WordTokenizer } from "../src/tokenizer/word.ts";

test("what a model of documents sees of 300,000 tokens is their end", async () => {
  const training = await train(["ab"], { num_steps: 1, device: "cpu", n_embd: 4 });
  const prompt = "ab".repeat(150_000);
  const options = { prompt, num_samples: 1, max_tokens: 3, device: "cpu" } as const;
  for await (const { text } of generate(await training.model(), options)) {
    expect(text.startsWith(prompt)).toBe(true);
  }
  training.close();
  const characters = new CharTokenizer(["a", "b"]);
  expect(new TextStream(characters).push(characters.encode(prompt))).toBe(prompt);
});

const tokenizer = withTokens(
  new CharTokenizer([..."abc"]),
  chatTokens([[{ role: "system", content: "" }]]),
);

test.each([{ first: [] }, { first: [{ role: "system", content: "ab" }] }] as const)(
  "of 60,000 turns behind $first those are seen that there is room for",
  ({ first }) => {
    const turns = Array.from({ length: 60_001 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      content: "abc".slice(i % 4),
    }));
    const all = [...first, ...turns] as Conversation;
    const [block_size, most] = [64, 8];
    const { tokens, num_left_out } = finish(fitting(all, tokenizer, block_size, most));
    const left = [...first, ...turns.slice(num_left_out)] as Conversation;
    expect(finish(fitting(left, tokenizer, block_size, most))).toEqual({ tokens, num_left_out: 0 });
    const one = [...first, ...turns.slice(num_left_out - 2)] as Conversation;
    expect(finish(fitting(one, tokenizer, block_size, most)).num_left_out).toBe(2);
  },
);

test("works that rest go on one after the other, and the event loop runs between any two of them", async () => {
  let turns = 0;
  let over = false;
  const count = () => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const parts: number[] = [];
  function* work(): Generator<void, void> {
    yield; // each begins when it is asked for
    for (let part = 0; part < 3; part++) {
      parts.push(turns);
      const end = performance.now() + 40;
      while (performance.now() < end);
      yield;
    }
  }
  const breather = () => new Breather();
  const all = Array.from({ length: 4 }, async () => {
    const own = breather();
    await own.rest();
    await own.through(work());
  });
  await Promise.all(all);
  over = true;
  expect(parts).toHaveLength(12);
  expect(new Set(parts).size).toBe(12);
});

test("a prompt can be encoded a part at a time, and its unknown word be looked for so", () => {
  const words = new WordTokenizer(["on", "snow"]);
  expect([...encodingPrompt(words, "on snow")].length).toBeGreaterThan(0);
  const work = encodingPrompt(words, `${"on snow ".repeat(9)} and ice`);
  let parts = 0;
  expect(() => {
    while (!work.next().done) parts++;
  }).toThrow('The model has no token for "and"');
  expect(parts).toBeGreaterThan(18);
  expect(encodePrompt(words, "on snow")).toEqual([0, 1]);
});
