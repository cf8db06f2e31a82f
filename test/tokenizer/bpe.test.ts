// Byte-level BPE encodes as its definition says, loses nothing, and lets the event loop run.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { finish } from "../../src/finish.ts";
import { Breather } from "../../src/platform/breather.ts";
import type { BpeTokenizer } from "../../src/tokenizer/bpe.ts";
import { LONGEST } from "../../src/tokenizer/pretokens.ts";
import { dullTexts, prose, strings, texts, train } from "./samples.ts";
import { encodeTwin } from "./twins.ts";

const sample = prose(150);
const tokenizer = train(sample, { vocab_size: 500, special: ["<|user|>"] });

function mergesOf({ merges: { pairs } }: BpeTokenizer): [number, number][] {
  return Array.from({ length: pairs.size }, (_, i) => [pairs.left[i], pairs.right[i]]);
}

describe.for(["gpt2", "gpt4"] as const)("%s", (pattern) => {
  test("any text has the ids that merging everywhere in turn gives", () => {
    const own = train(sample, { vocab_size: 600 }, pattern);
    const merges = mergesOf(own);
    const property = fc.property(texts, (text) => {
      expect(own.encode(text)).toEqual(encodeTwin(text, merges, pattern));
    });
    fc.assert(property, { numRuns: 200 });
    const words = sample.slice(0, 1500);
    expect(own.encode(words)).toEqual(encodeTwin(words, merges, pattern));
  });
});

test("long words too, where equal pairs overlap", () => {
  // The words are longer than those that have no heap.
  const longTexts = fc
    .array(fc.constantFrom("a", "b", "ab", "aab"), { minLength: 120, maxLength: 400 })
    .map((chosen) => chosen.join(""));
  const property = fc.property(dullTexts, longTexts, (learnt, text) => {
    const own = train(`${learnt} ${text.slice(0, 60)}`, { vocab_size: 290 });
    expect(own.encode(text)).toEqual(encodeTwin(text, mergesOf(own), "gpt2"));
  });
  fc.assert(property, { numRuns: 60 });
});

test("decode gives any text back", () => {
  const text = fc.property(fc.oneof(texts, strings), (text) => {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.toWellFormed());
  });
  fc.assert(text, { numRuns: 1000 });
});

test("bytes that are no whole character are shown as U+FFFD, a byte-order mark is kept", () => {
  expect(tokenizer.decode([0x61, 0xe5, 0x8c, 0x62])).toBe("a\ufffdb");
  expect(tokenizer.decode(tokenizer.encode("\ufeffa"))).toBe("\ufeffa");
});

test("a special token is never read from a text, and has no text", () => {
  const { special, bos, vocab_size } = tokenizer;
  expect([...special]).toEqual([
    ["<|bos|>", 498],
    ["<|user|>", 499],
  ]);
  expect([bos, vocab_size]).toEqual([498, 500]);
  const ids = tokenizer.encode("<|bos|><|user|>hi<|bos|>");
  expect(Math.max(...ids)).toBeLessThan(498);
  expect(tokenizer.decode([bos, ...ids, 499])).toBe("<|bos|><|user|>hi<|bos|>");
  expect([tokenizer.byteLength(499), tokenizer.byteLength(10)]).toEqual([0, 1]);
  const more = tokenizer.withSpecial(["<|user|>", "<|system|>"]);
  expect([...more.special.values(), more.bos, more.vocab_size]).toEqual([498, 499, 500, 498, 501]);
  expect(more.encode(sample)).toEqual(tokenizer.encode(sample));
});

test("a model of a stream begins after a newline", () => {
  expect(tokenizer.start).toBe(10);
});

test("what it remembers of words changes nothing, however many there are", () => {
  const words = Array.from({ length: 140_000 }, (_, i) => ` ${i}`);
  const first = tokenizer.encode(words.join(""));
  expect(tokenizer.encode(words.join("")).join()).toBe(first.join());
  expect(tokenizer.decode(first)).toBe(words.join(""));
});

test("a word of a million letters leaves the event loop free, and two at once do not mix", async () => {
  const own = train("x".repeat(64), { vocab_size: 262 });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const work = (text: string) => new Breather().through(own.encoding(text));
  const [x, mixed] = await Promise.all([
    work("x".repeat(1_000_000)),
    work("xxxxxxxy".repeat(5_000)),
  ]);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(1);
  expect(x).toEqual(Array.from({ length: 31_250 }, () => 260)); // five merges: 32 of them
  expect(own.decode(mixed)).toBe("xxxxxxxy".repeat(5_000));
  expect(mixed).toEqual(own.encode("xxxxxxxy".repeat(5_000)));
});

test("what takes long can be stopped", async () => {
  const stop = new AbortController();
  const work = new Breather().through(tokenizer.encoding("x".repeat(LONGEST)), stop.signal);
  stop.abort(new Error("enough"));
  await expect(work).rejects.toThrow("enough");
});

test("a part of the work at a time gives what all at once does", () => {
  expect(finish(tokenizer.encoding(sample))).toEqual(tokenizer.encode(sample));
});
