// Words as tokens: which ones, how a text is put together again, and what is unknown.

import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError, DataError } from "../../src/errors.ts";
import { tokenizerFromJSON } from "../../src/tokenizer/file.ts";
import { WordCounts, WordTokenizer, trainWords } from "../../src/tokenizer/word.ts";
import { texts } from "./samples.ts";

function train(text: string, vocab_size: number, special: string[] = []) {
  const counts = new WordCounts();
  counts.push(text);
  return trainWords(counts.end(), vocab_size, special);
}

test("the most frequent words are the first ids, of equal ones the smaller", () => {
  const tokenizer = train("b a c. a b, a — naïve_1 naïve_1 東京 x", 6, []);
  expect(tokenizer.words).toEqual(["a", "b", "naïve_1", ","]);
  expect([tokenizer.unknown_id, tokenizer.bos, tokenizer.vocab_size]).toEqual([4, 5, 6]);
  expect(tokenizer.encode("a naïve_1 whale, b")).toEqual([0, 2, 4, 3, 1]);
  expect(tokenizer.decode([5, 0, 2, 4, 3, 1])).toBe("a naïve_1 ⁇, b");
});

test("a space is where it mostly is", () => {
  const text = "“Don't,” said Ann-Marie (twice); 50% of £3 [all] — why?! And/or…";
  const tokenizer = train(text, 100);
  expect(tokenizer.decode(tokenizer.encode(text.replaceAll(" ", " \n ")))).toBe(text);
});

test("a token's bytes have the space before it, one that closes something has none", () => {
  const tokenizer = train("said said . . ü", 100, ["<|user|>"]);
  const text = (id: number) => new TextDecoder().decode(tokenizer.bytes(id));
  expect(tokenizer.words.map((_, id) => text(id)).toSorted()).toEqual([" said", " ü", "."]);
  expect(tokenizer.byteLength(tokenizer.words.indexOf("ü"))).toBe(3);
  expect(text(tokenizer.special.get("<|user|>")!)).toBe("");
});

test("words are those of Unicode, wherever a text is cut into pieces", () => {
  const property = fc.property(texts, fc.integer({ min: 1, max: 9 }), (text, size) => {
    const counts = new WordCounts();
    for (let at = 0; at < text.length; at += size) counts.push(text.slice(at, at + size));
    counts.end();
    const expected = new Map<string, number>();
    const words = text.match(/[\p{L}\p{M}\p{N}_]+|[^\p{L}\p{M}\p{N}_\p{White_Space}]/gu) ?? [];
    for (const word of words) expected.set(word, (expected.get(word) ?? 0) + 1);
    expect(counts.counts).toEqual(expected);
    expect(counts.total).toBe(words.length);
  });
  fc.assert(property, { numRuns: 1000 });
});

test("a word that never ends is cut, in pieces as well", () => {
  const counts = new WordCounts();
  for (let i = 0; i < 1000; i++) counts.push("\u{20000}x123");
  expect([...counts.end().counts.values()]).toEqual([5]);
});

test("it comes back from its file, with its special tokens", () => {
  const tokenizer = train("one two two", 7, ["<|user|>"]).withSpecial(["<|end|>"]);
  const back = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer))) as WordTokenizer;
  expect(back).toBeInstanceOf(WordTokenizer);
  expect(back.encode("two one three")).toEqual([0, 1, 2]);
  expect([...back.special]).toEqual([...tokenizer.special]);
  expect([back.bos, back.vocab_size]).toEqual([3, 6]);
});

test("there have to be a word and room for it", () => {
  expect(() => train("", 10)).toThrow(DataError);
  expect(() => train(" \n", 10)).toThrow(/no words/);
  for (const size of [2, 3.5, Number.NaN]) expect(() => train("a", size)).toThrow(ConfigError);
  expect(() => train("a", 3, ["<|user|>"])).toThrow(/vocab_size is 3; .* from 4 on/);
  expect(train("a b", 3).words).toEqual(["a"]);
});
