// A tokenizer file that cannot be used is told so in a sentence: what is wrong, and what is needed.

import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { ModelFileError, UserError } from "../../src/errors.ts";
import { tokenizerFromJSON } from "../../src/tokenizer/file.ts";
import { byteFallback, byteLevel, unigram, wordPiece } from "./foreign.ts";

const file = byteLevel("one two one two three");
const { model, added_tokens } = file;
const withModel = (changes: object) => ({ ...file, model: { ...model, ...changes } });
const withVocab = (changes: object) => withModel({ vocab: { ...model.vocab, ...changes } });
const without = (token: string) => {
  const { [token]: _, ...vocab } = model.vocab;
  return withModel({ vocab });
};

test.for([
  [null, /holds no object/],
  [[], /holds no object/],
  [{}, /has no "model"/],
  [{ model: [] }, /has no "model"/],
  [withModel({ vocab: undefined }), /no vocabulary: .* is missing; tokens with ids are needed/],
  [withModel({ vocab: [["a"]] }), /has \["a"\] in its vocabulary; a token and a number/],
  [withVocab({ a: "1" }), /the token "a" the id "1"; a whole number from 0/],
  [withVocab({ a: -1 }), /the token "a" the id -1/],
  [
    withVocab({ a: 98 }),
    /gives two tokens the id 98, "b" and "a"|gives two tokens the id 98, "a" and "b"/,
  ],
  [withVocab({ new: 5000 }), /no token with id \d+, though it has \d+ tokens/],
  [without("a"), /no token with id 97, though it has \d+ tokens; ids 0 to \d+ are needed/],
  [{ ...file, added_tokens: 1 }, /"added_tokens" 1; a list/],
  [{ ...file, added_tokens: [1] }, /has 1 in "added_tokens"/],
  [{ ...file, added_tokens: [...added_tokens, { id: 3, content: "a" }] }, /"a" two ids, 97 and 3/],
  [
    { ...file, added_tokens: [{ id: added_tokens[0].id, content: "x y" }] },
    /begins a document.*<s>/,
  ],
  [withModel({ merges: undefined }), /no merges: .* is missing; a list of pairs/],
  [withModel({ merges: ["a"] }), /has "a" as merge 1; two tokens/],
  [withModel({ merges: [["a", 1]] }), /has \["a",1\] as merge 1; two tokens/],
  [withModel({ merges: [["a", "zz"]] }), /merge 1, which needs the token "zz", but/],
  [withModel({ merges: [["z", "q"]] }), /merge 1, which needs the token "zq", but/],
  [{ ...unigram(), pre_tokenizer: { type: "Unheard" } }, /Unknown PreTokenizer type: Unheard/],
  [{ ...wordPiece(), decoder: { type: "Unheard" } }, /Unknown Decoder type: Unheard/],
  [{ ...file, model: { ...model, type: "Unheard", vocab: 1 } }, /no vocabulary/],
  [
    { ...unigram(), normalizer: { type: "Replace", pattern: { Strin: " " }, content: "_" } },
    /has the pattern {"Strin":" "} in its normalizer; {"String": …} or {"Regex": …} is needed/,
  ],
  [{ type: "word", words: ["a"], special_tokens: { "<|bos|>": 1 } }, /the number of words \+ 1/],
  [{ type: "word", words: ["a", "a"], special_tokens: { "<|bos|>": 3 } }, /distinct/],
] as const)("%#", ([bad, sentence]) => {
  expect(() => tokenizerFromJSON(bad)).toThrow(ModelFileError);
  expect(() => tokenizerFromJSON(bad)).toThrow(sentence);
});

test("a vocabulary larger than any is refused", () => {
  const vocab = Array(2 ** 20 + 1).fill(["a", 0]);
  expect(() => tokenizerFromJSON({ model: { vocab } })).toThrow(/has 1,048,577 tokens; 1,048,576/);
});

/** The places of all values in a JSON value. */
function placesOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  const inner = Object.entries(value).slice(0, 12);
  return [path, ...inner.flatMap(([key, child]) => placesOf(child, [...path, key]))];
}

function replaced(value: any, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key] = replaced(value[key], rest, by);
  return copy;
}

test.for([
  ["byte-level", file],
  ["unigram", unigram()],
  ["word pieces", wordPiece()],
  ["fallback to bytes", byteFallback()],
] as const)(
  "whatever value is another one, it works or is refused in a sentence: %s",
  ([, good]) => {
    const warned = vi.spyOn(console, "warn").mockReturnValue();
    const places = placesOf(good);
    const values = fc.constantFrom<unknown>(
      null,
      undefined,
      true,
      0,
      -1,
      1.5,
      7,
      1e9,
      "",
      "a",
      "▁",
      [],
      {},
      ["a"],
      [["a", 1]],
    );
    const errorOf = (changed: unknown): unknown => {
      try {
        const tokenizer = tokenizerFromJSON(changed);
        for (const id of tokenizer.encode("one two")) tokenizer.bytes(id);
      } catch (error) {
        return error;
      }
      return null;
    };
    const property = fc.property(fc.constantFrom(...places), values, (place, value) => {
      const error = errorOf(replaced(good, place, value));
      expect(error === null || error instanceof UserError).toBe(true);
    });
    fc.assert(property, { numRuns: 200 });
    expect(warned).not.toHaveBeenCalled(); // the reader passes nothing over
  },
);
