// How texts are drawn: temperature, top-k, length, and the window that slides.

import { describe, expect, test } from "vitest";
import type { DrawOptions } from "../src/generation/draw.ts";
import {
  generate,
  type GenerateOptions,
  lengthNotes,
  type Sampling,
  write,
} from "../src/generation/generate.ts";
import { nextProbabilities, softmax } from "../src/generation/probabilities.ts";
import { PythonRandom } from "../src/random.ts";
import { decodeBy } from "./harness/decode.ts";
import { windowOf } from "../src/generation/window.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";

const tokenizer = new CharTokenizer([..."abcdefghij"]); // BOS is 10

/** Texts of a model that counts: after a token its successor is by far the likeliest, after j comes a. */
type Options = Partial<
  Pick<GenerateOptions, keyof Sampling | keyof DrawOptions | "prompt" | "format">
>;
async function texts(options: Options) {
  const seen: number[][] = [];
  const events = write({
    format: "lines",
    block_size: 4,
    num_samples: 1,
    temperature: 0,
    top_k: 0,
    top_p: 1,
    min_p: 0,
    repetition_penalty: 1,
    max_tokens: 0,
    ...options,
    tokenizer,
    random: new PythonRandom(1),
    decode: decodeBy(async (tokens) => {
      seen.push([...tokens]);
      const logits = new Float32Array(11);
      logits[(tokens.at(-1)! + 1) % 10] = 5;
      return logits;
    }, 4),
  });
  const pieces: string[] = [];
  const whole: string[] = [];
  for await (const { type, text } of events) (type === "piece" ? pieces : whole).push(text);
  return { seen, pieces, whole };
}

describe("probabilities", () => {
  test("at temperature 0 are those of the likeliest token alone, the first of several", () => {
    expect([...softmax([1, 3, 2, 3], 0)]).toEqual([0, 1, 0, 0]);
  });

  test.each([1e-3, 1e-300, 1e-308, 5e-324])("near 0 go to the likeliest: %s", (temperature) => {
    expect([...softmax([-700, 300, 299], temperature)]).toEqual([0, 1, 0]);
    expect([...softmax([2, 2, -1], temperature)]).toEqual([0.5, 0.5, 0]);
  });

  test("above 1 become even", () => {
    const [, warm] = softmax([0, 2], 1);
    const [, hot] = softmax([0, 2], 4);
    expect(warm).toBeCloseTo(1 / (1 + Math.exp(-2)), 12);
    expect(hot).toBeCloseTo(1 / (1 + Math.exp(-0.5)), 12);
    expect([...softmax([0, 2], Number.MAX_VALUE)]).toEqual([0.5, 0.5]);
  });

  test("of the top k keep their proportions, and all others are 0", () => {
    const logits = [0.5, 3, -1, 2, 1];
    const all = nextProbabilities(logits, { temperature: 0.7, top_k: 0 });
    const two = nextProbabilities(logits, { temperature: 0.7, top_k: 2 });
    expect(two.filter((p) => p > 0)).toHaveLength(2);
    expect(two[1] / two[3]).toBeCloseTo(all[1] / all[3], 12);
    expect(two[1] + two[3]).toBeCloseTo(1, 12);
    for (const top_k of [5, 6, Number.MAX_SAFE_INTEGER]) {
      expect(nextProbabilities(logits, { temperature: 0.7, top_k })).toEqual(all);
    }
  });

  test("leave a token out that is never drawn, before the top k are counted", () => {
    const p = nextProbabilities([3, 2, 1], { temperature: 1, top_k: 1 }, { never: [0] });
    expect([...p]).toEqual([0, 1, 0]);
    expect([...nextProbabilities([3, 2, 1], { temperature: 0, top_k: 0 }, { never: [0] })]).toEqual(
      [0, 1, 0],
    );
  });
});

test("a text fills the context, or has max_tokens, and comes in pieces too", async () => {
  expect((await texts({ prompt: "c" })).whole).toEqual(["cdef"]);
  const { whole, pieces } = await texts({ prompt: "cd", max_tokens: 3, num_samples: 2 });
  expect(whole).toEqual(["cdefg", "cdefg"]);
  expect(pieces).toEqual(["cd", "e", "f", "g", "cd", "e", "f", "g"]);
});

test("beyond the context the oldest quarter goes at once, and of a document BOS stays", async () => {
  const stream = await texts({ format: "text", prompt: "b", max_tokens: 5 });
  expect(stream.whole).toEqual(["bcdefg"]);
  expect(stream.seen).toEqual([
    [0, 1], // the starting token: there is no newline, so it is the first one
    [0, 1, 2],
    [0, 1, 2, 3],
    [1, 2, 3, 4],
    [2, 3, 4, 5],
  ]);
  const documents = await texts({ prompt: "b", max_tokens: 5 });
  expect(documents.seen).toEqual([
    [10, 1],
    [10, 1, 2],
    [10, 1, 2, 3],
    [10, 2, 3, 4],
    [10, 3, 4, 5],
  ]);
});

describe("of a text's tokens", () => {
  const window = (length: number, block_size: number, keeps_first: boolean) =>
    windowOf(Array.from(Array(length).keys()), { block_size, keeps_first });

  test("a context of nine forgets two at a time, and has room again for one more", () => {
    expect(window(9, 9, false)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(window(10, 9, false)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(window(11, 9, false)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(window(12, 9, false)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect(window(10, 9, true)).toEqual([0, 3, 4, 5, 6, 7, 8, 9]);
    expect(window(13, 9, true)).toEqual([0, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test.each([1, 2, 3, 4, 5, 16, 63])("one of %i never sees more, nor less than it must", (T) => {
    for (const keeps_first of [true, false]) {
      const kept = Number(keeps_first);
      for (let length = 1; length < 4 * T + 3; length++) {
        const seen = window(length, T, keeps_first);
        expect(seen.length).toBeLessThanOrEqual(T);
        const least = Math.min(length, T - Math.max(1, Math.floor((T - kept) / 4)) + 1);
        expect(seen.length).toBeGreaterThanOrEqual(least);
        expect(seen.slice(0, kept)).toEqual([0].slice(0, kept));
        const last = seen.slice(kept);
        expect(last).toEqual(last.map((_, i) => length - last.length + i));
      }
    }
  });
});

test("of a prompt longer than the context the model sees the end, and the text has all of it", async () => {
  const { seen, whole } = await texts({ prompt: "abcdefgh" });
  expect(seen[0]).toEqual([10, 5, 6, 7]);
  expect(whole).toEqual(["abcdefghijab"]); // a context full after it
  expect((await texts({ format: "text", prompt: "abcdefgh" })).seen[0]).toEqual([4, 5, 6, 7]);
});

test("what is drawn by a seed is the same in pieces as whole", async () => {
  const options = () => ({
    format: "lines" as const,
    block_size: 8,
    num_samples: 5,
    temperature: 1,
    top_k: 0,
    top_p: 1,
    min_p: 0,
    repetition_penalty: 1,
    max_tokens: 0,
    tokenizer,
    random: new PythonRandom(3),
    decode: decodeBy(async () => new Float32Array(11)),
  });
  const whole = [];
  for await (const event of generate(options())) whole.push(event);
  const joined = Array<string>(5).fill("");
  for await (const { type, index, text } of write(options())) {
    if (type === "piece") joined[index - 1] += text;
  }
  expect(whole.map(({ text }) => text)).toEqual(joined);
  expect(new Set(joined).size).toBe(5);
});

describe("is said:", () => {
  const notes = (
    format: "lines" | "text",
    max_tokens: number,
    prompt: number,
    position: "learned" | "rope" = "learned",
  ) => lengthNotes({ format, block_size: 16, max_tokens, position }, prompt);

  test("nothing of a text that the context holds", () => {
    expect(notes("lines", 0, 0)).toEqual([]);
    expect(notes("text", 0, 15)).toEqual([]);
    expect(notes("text", 4, 12)).toEqual([]);
  });

  test("that the context slides, and what of that the model has learnt", () => {
    expect(notes("text", 17, 0)[0]).toMatch(
      /Its 16 positions are learned .* the oldest quarter .* anew .* as it saw windows from anywhere/,
    );
    expect(notes("lines", 5, 12)[0]).toMatch(/longer than the context.* so it guesses\.$/);
    expect(notes("text", 17, 0, "rope")[0]).toMatch(/on 16 positions alone.* as they were read/);
  });

  test("that of a long prompt only the end is seen", () => {
    expect(notes("lines", 0, 16)[0]).toBe(
      "The prompt has 16 tokens, and the context holds 15 of them: the model sees the last 13.",
    );
    expect(notes("lines", 0, 18)[0]).toMatch(/the last 15\.$/);
    expect(notes("text", 0, 16)).toHaveLength(1);
    expect(notes("text", 0, 17)[0]).toMatch(/the last 14\.$/);
    expect(notes("text", 0, 17)).toHaveLength(2);
  });
});
