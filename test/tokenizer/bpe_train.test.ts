// Training BPE learns what the quadratic twin learns, whatever way the text comes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Breather } from "../../src/platform/breather.ts";
import { ConfigError, DataError } from "../../src/errors.ts";
import { trainBpe } from "../../src/tokenizer/bpe_train.ts";
import { PretokenCounts } from "../../src/tokenizer/count_pretokens.ts";
import { dullTexts, prose, texts, train } from "./samples.ts";
import { pretokensOf, trainTwin } from "./twins.ts";

const pairsOf = (text: string, vocab_size: number, pattern: "gpt2" | "gpt4" = "gpt2") => {
  const { pairs } = train(text, { vocab_size }, pattern).merges;
  return Array.from({ length: pairs.size }, (_, i) => [pairs.left[i], pairs.right[i]]);
};

test("any text teaches it what the twin learns, ties and overlaps included", () => {
  const property = fc.property(fc.oneof(dullTexts, texts), (text) => {
    fc.pre(text.length > 0);
    expect(pairsOf(text, 300)).toEqual(trainTwin(pretokensOf(text, "gpt2"), 43));
  });
  fc.assert(property, { numRuns: 500 });
});

test("prose teaches it what the twin learns", () => {
  const text = prose(60);
  for (const pattern of ["gpt2", "gpt4"] as const) {
    expect(pairsOf(text, 400, pattern)).toEqual(trainTwin(pretokensOf(text, pattern), 143));
  }
});

test("of equal counts the smaller ids come first", () => {
  // b c, a b, a c and z z are there twice each.
  expect(pairsOf("bc bc", 260)).toEqual([[0x62, 0x63]]);
  expect(pairsOf("zz.zz.ac.ab.ac.ab", 263).slice(0, 3)).toEqual([
    [0x61, 0x62],
    [0x61, 0x63],
    [0x7a, 0x7a],
  ]);
});

test("no string is learnt twice", () => {
  const property = fc.property(dullTexts, (text) => {
    fc.pre(text.length > 0);
    const { tokens } = train(text, { vocab_size: 400 });
    const words = tokens.slice(0, -1).map((bytes) => bytes.join());
    expect(new Set(words).size).toBe(words.length);
  });
  fc.assert(property, { numRuns: 300 });
});

test("it ends where no pair is there twice, and has as many ids as it learnt", () => {
  expect(train("abcdefg", { vocab_size: 1000 }).vocab_size).toBe(257);
  expect(train("xx xx", { vocab_size: 1000 }).vocab_size).toBe(258);
  expect(train(prose(20), { vocab_size: 300, special: ["a", "b", "c"] }).vocab_size).toBe(300);
});

test("the number of tokens has to be one that can be", () => {
  for (const vocab_size of [259, 65_537, 300.5, Number.NaN, -1]) {
    expect(() => train("abc", { vocab_size })).toThrow(ConfigError);
  }
  expect(() => train("abc", { vocab_size: 259 })).toThrow(
    /vocab_size is 259; .* from 260 to 65536/,
  );
  const special = ["1", "2", "3", "4", "5"];
  expect(() => train("abc", { vocab_size: 261, special })).toThrow(/from 262 to 65536/);
  expect(() => train("", { vocab_size: 300 })).toThrow(DataError);
});

test("it tells how far it is, leaves the event loop free, and can be stopped", async () => {
  const counts = new PretokenCounts("gpt2");
  counts.push(prose(300));
  counts.end();
  const seen: number[] = [];
  const progress = (learnt: number, most: number) => seen.push(learnt, most);
  const tokenizer = await new Breather().through(trainBpe(counts, { vocab_size: 270, progress }));
  expect(tokenizer.vocab_size).toBe(270);
  expect(seen.slice(0, 4)).toEqual([1, 13, 2, 13]);
  expect(seen.slice(-2)).toEqual([13, 13]);

  const stop = new AbortController();
  const stopped = trainBpe(counts, {
    vocab_size: 270,
    progress: () => stop.abort(new Error("enough")),
  });
  await expect(new Breather().through(stopped, stop.signal)).rejects.toThrow("enough");
});

test("a word of 300,000 letters teaches it as fast as many words do", () => {
  const tokenizer = train("ab".repeat(150_000), { vocab_size: 512 });
  expect(tokenizer.encode("ab".repeat(150_000)).length).toBeLessThan(20);
  expect(tokenizer.bytes(260).length).toBe(32);
});
