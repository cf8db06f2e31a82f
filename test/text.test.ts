// Text to tokens and back.

import { expect, test } from "vitest";
import { ModelFileError, UnknownCharacterError } from "../src/errors.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { tokenizerFromJSON } from "../src/tokenizer/file.ts";

test("characters are whole code points in the order of their numbers", () => {
  const tokenizer = CharTokenizer.fromDocuments(["b\u{1F600}a", "\uFF5Ea"]);
  expect(tokenizer.chars).toEqual(["a", "b", "\uFF5E", "\u{1F600}"]);
  expect(tokenizer.vocab_size).toBe(5);
  expect(tokenizer.encode("a\u{1F600}")).toEqual([0, 3]);
  expect(tokenizer.decode([3, 0, tokenizer.bos])).toBe("\u{1F600}a");
});

test("a character without a token is named with its place", () => {
  const tokenizer = new CharTokenizer(["a", "b"]);
  expect(() => tokenizer.encode("ab\u{1F600}")).toThrow(UnknownCharacterError);
  expect(() => tokenizer.encode("abé")).toThrow(/"é" \(U\+00E9, character 3 of the text\)/);
});

test("a tokenizer comes back from its file, and nothing else does", () => {
  const tokenizer = new CharTokenizer(["a", "b"]);
  const file = JSON.parse(JSON.stringify(tokenizer));
  expect(tokenizerFromJSON(file).encode("ba")).toEqual([1, 0]);
  const spoilt = [
    null,
    [],
    { ...file, type: "bpe" },
    { ...file, chars: ["a", "a"] },
    { ...file, chars: ["ab"] },
    { ...file, special_tokens: { bos: 0 } },
    { ...file, special_tokens: { bos: 2, "<|user|>": 4 } },
    { ...file, special_tokens: { "<|user|>": 2, bos: 3 } },
    { ...file, special_tokens: undefined },
  ];
  for (const value of spoilt) expect(() => tokenizerFromJSON(value)).toThrow(ModelFileError);
});

test("special tokens follow BOS, come back from the file, and no text has them", () => {
  const plain = new CharTokenizer([..."<>a|"]);
  const tokenizer = plain.withSpecial(["<|a|>"]);
  expect([...tokenizer.special]).toEqual([
    ["bos", 4],
    ["<|a|>", 5],
  ]);
  expect(tokenizer.vocab_size).toBe(6);
  expect(tokenizer.encode("<|a|>")).toEqual([0, 3, 2, 3, 1]);
  expect(tokenizer.decode([2, 5, 4, 2])).toBe("aa");
  expect(tokenizer.bytes(5)).toHaveLength(0);
  const back = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)));
  expect([...back.special]).toEqual([...tokenizer.special]);
  expect(plain.vocab_size).toBe(5);
});
