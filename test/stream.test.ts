// A stream of tokens: the windows that are trained on, and the part that is held out.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { ConfigError, DataError } from "../src/errors.ts";
import { philox, uniformAt } from "../src/philox.ts";
import { presets } from "../src/presets.ts";
import { batchAt, batchesOf, IGNORED } from "../src/text/batches.ts";
import { corpusOf, fromText } from "../src/text/read_corpus.ts";
import { splitTokens } from "../src/text/split.ts";
import { TokenStream } from "../src/text/stream.ts";

const F = 0xffffffff;

// The known answers of the Random123 library that came with the paper.
test.each<[number[], number[], number[]]>([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [F, F, F, F],
    [F, F],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
])("Philox gives the published words: counter %j", (counter, key, words) => {
  expect(philox(counter as [0, 0, 0, 0], key as [0, 0])).toEqual(words);
});

test("a place of a step has its own number, in the upper words of seed and step too", () => {
  const at = (seed: number, step: number, place: number) => uniformAt(seed, step, place, 2 ** 40);
  const numbers = [0, 1, 2 ** 32, 2 ** 33 + 1].flatMap((seed) =>
    [0, 1, 2 ** 32].flatMap((step) => [0, 1, 2 ** 24].map((place) => at(seed, step, place))),
  );
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(at(7, 8, 9)).toBe(at(7, 8, 9));
});

const iota = (length: number) => Int32Array.from({ length }, (_, i) => i);
const windowsAt = (stream: TokenStream, step: number, B: number) =>
  Array.from({ length: B }, (_, b) => stream.windowAt(step, b));
const configOf = (overrides: Partial<Config>) =>
  resolveConfig("microgpt", { format: "text", block_size: 4, ...overrides });

describe("windows of a stream", () => {
  const stream = new TokenStream(iota(20), { block_size: 4, seed: 42 });

  test("are block_size + 1 consecutive tokens, the inputs the first of them, the targets the last", () => {
    const { inputs, targets, num_targets } = batchAt(stream, 3, 2);
    expect(num_targets).toBe(8);
    for (const b of [0, 1]) {
      const start = inputs[4 * b];
      expect([...inputs.subarray(4 * b, 4 * b + 4)]).toEqual([0, 1, 2, 3].map((t) => start + t));
      expect([...targets.subarray(4 * b, 4 * b + 4)]).toEqual([1, 2, 3, 4].map((t) => start + t));
    }
  });

  test("are a function of seed, step and place, whatever else is drawn", () => {
    const [, place1] = windowsAt(stream, 5, 2);
    expect(windowsAt(stream, 5, 7)[1]).toEqual(place1);
    const starts = (seed: number, step: number) =>
      windowsAt(new TokenStream(iota(1e6), { block_size: 4, seed }), step, 4).map(
        ([first]) => first,
      );
    expect(starts(1, 0)).toEqual(starts(1, 0));
    expect(starts(1, 0)).not.toEqual(starts(2, 0));
    expect(starts(1, 0)).not.toEqual(starts(1, 1));
  });

  test("start everywhere equally often, the first and the last place included", () => {
    const counts = Array<number>(16).fill(0);
    const steps = 4000;
    for (let step = 0; step < steps; step++) {
      for (const [first] of windowsAt(stream, step, 4)) counts[first]++;
    }
    const expected = (4 * steps) / 16;
    const chi2 = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chi2).toBeLessThan(37.7); // one in a thousand, at 15 degrees of freedom
    expect(windowsAt(new TokenStream(iota(5), { block_size: 4, seed: 1 }), 9, 1)[0]).toEqual(
      iota(5),
    );
  });
});

test("a text of any length is encoded, characters of two code units included", () => {
  const text = `${"a".repeat(2 ** 16 - 1)}\u{1F600}${"b\n".repeat(2 ** 16)}`;
  const { ids, tokenizer } = fromText(text, "text");
  expect([...ids]).toEqual(tokenizer.encode(text));
  expect(tokenizer.chars).toEqual(["\n", "a", "b", "\u{1F600}"]);
  const pieces = corpusOf(["ab\n", "a"], "text"); // one stream, with nothing in between
  expect([...(pieces.tokens(4, undefined, presets.microgpt) as Uint8Array)]).toEqual(
    pieces.tokenizer.encode("ab\na"),
  );
});

test("the last part of a stream is held out: never trained on, each of its tokens but the first predicted once", () => {
  const split = splitTokens(configOf({ val_fraction: 0.3 }), iota(50));
  expect(split).toMatchObject({ num_tokens: 50, num_val_tokens: 15, num_val_docs: 0 });
  const train = split.train as TokenStream;
  const trained = new Set<number>();
  for (let step = 0; step < 500; step++) {
    for (const window of windowsAt(train, step, 4)) for (const token of window) trained.add(token);
  }
  expect([...trained].sort((a, b) => a - b)).toEqual([...iota(35)]);
  const targets = split.validation.flatMap((sequence) => [...sequence.subarray(1)]);
  expect(targets).toEqual([...iota(50).subarray(36)]);
  expect(split.validation.map(({ length }) => length - 1)).toEqual([4, 4, 4, 2]);
});

test("the last documents are held out", () => {
  const documents = [1, 2, 3, 4, 5].map((length) => iota(length + 1));
  const split = splitTokens(configOf({ format: "lines", val_fraction: 0.4 }), documents);
  expect(split).toEqual({
    train: documents.slice(0, 3),
    validation: documents.slice(3),
    num_val_docs: 2,
    num_tokens: 15,
    num_val_tokens: 9,
  });
  const all = splitTokens(configOf({ format: "lines" }), documents);
  expect(all).toMatchObject({ train: documents, validation: [], num_val_docs: 0 });
});

test("of a long held-out part some windows are taken, at even distances", () => {
  const { validation } = splitTokens(configOf({ val_fraction: 0.5 }), iota(400_000));
  expect(validation).toHaveLength(2 ** 15 / 4);
  const gaps = validation.map(([first], i) => first - (i > 0 ? validation[i - 1][0] : 200_000));
  expect(gaps[0]).toBe(0);
  expect(new Set(gaps.slice(1))).toEqual(new Set([24, 28])); // 6.1 windows of 4
});

test("sequences come in batches, the last one filled up with positions that do not count", () => {
  const batches = [...batchesOf([iota(3), iota(2), iota(4)], 2, 3)];
  expect(batches.map(({ num_targets }) => num_targets)).toEqual([3, 3]);
  expect(batches[1].inputs).toEqual(Int32Array.of(0, 1, 2, 0, 0, 0));
  expect(batches[1].targets).toEqual(Int32Array.of(1, 2, 3, IGNORED, IGNORED, IGNORED));
});

describe("a sentence for", () => {
  const docs = (length: number) => Array.from({ length }, () => iota(3));
  test.each<[string, Partial<Config>, Int32Array | Int32Array[], RegExp]>([
    [
      "a text shorter than a window",
      {},
      iota(4),
      /has 4 tokens, .* takes 5: .* of at most 3, or a l/,
    ],
    ["a text of one token", {}, iota(1), /has 1 token, .* after it\. Choose a longer text\.$/],
    [
      "too little held out",
      { val_fraction: 0.1 },
      iota(40),
      /40 tokens a .* 0.1 holds out 4, .* 5:/,
    ],
    [
      "too little left",
      { val_fraction: 0.9 },
      iota(40),
      /leaves 4 to train on.* a smaller val_frac/,
    ],
    [
      "no document held out",
      { format: "lines", val_fraction: 0.1 },
      docs(4),
      /4 documents, .* 0.1 holds out none of them; choose a larger one/,
    ],
    [
      "words of a script without spaces",
      { tokenizer: "word" },
      iota(1),
      /Choose tokenizer bpe or char, with more tokens for the same text, or a longer text\.$/,
    ],
    [
      "no document left",
      { format: "lines", val_fraction: 0.9 },
      docs(4),
      /0.9 leaves none of them to train on; choose a smaller one/,
    ],
  ])("%s", (_, overrides, tokens, message) => {
    const split = () => splitTokens(configOf(overrides), tokens);
    expect(split).toThrow(message);
    expect(split).toThrow(overrides.val_fraction ? ConfigError : DataError);
    expect(split).toThrow(/\.$/);
  });
});
