// Text to documents to tokens: what a file may hold, and the sentence for what it may not.

import { expect, test } from "vitest";
import { DataError, ModelFileError, UnknownCharacterError } from "../src/errors.ts";
import { decodeText, documentsOf, splitDocuments } from "../src/text/documents.ts";
import { CharTokenizer, tokenizerFromJSON } from "../src/text/tokenizer.ts";

const bytes = (...values: (number | string)[]) =>
  Uint8Array.from(values.flatMap((v) => (typeof v === "string" ? [...Buffer.from(v)] : [v])));

test("lines are stripped, whatever ends them, and empty ones dropped", () => {
  const text = decodeText(bytes(0xef, 0xbb, 0xbf, " ada\r\n\r\n\tgrace  \rалан\n"), "names.txt");
  expect(splitDocuments(text, "names.txt")).toEqual(["ada", "grace", "алан"]);
});

test.each([
  ["at the start", [0xff, "ada"], 0],
  ["in the middle", ["ada\n", 0xc3, 0x28, "x"], 4],
  ["cut off at the end", ["añ", 0xe2, 0x82], 3],
])("invalid UTF-8 is refused with its place: %s", (_, values, offset) => {
  expect(() => decodeText(bytes(...(values as number[])), "f.txt")).toThrow(
    new RegExp(`f.txt is not UTF-8 text: byte ${offset} `),
  );
});

test("a NUL character is refused", () => {
  expect(() => decodeText(bytes("ab", 0, "c"), "f.bin")).toThrow(/f.bin holds a NUL .*character 2/);
});

test.each(["", "  \n\t\r\n"])("a text without documents is refused: %j", (text) => {
  expect(() => splitDocuments(text, "f.txt")).toThrow(DataError);
});

test("format text takes a text as it is, format lines its lines", () => {
  const text = " ada\r\n\n grace";
  expect(documentsOf(text, "f.txt", "text")).toEqual([text]);
  expect(documentsOf(text, "f.txt", "lines")).toEqual(["ada", "grace"]);
  expect(() => documentsOf("", "f.txt", "text")).toThrow("f.txt is empty");
});

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
  ];
  for (const value of spoilt) expect(() => tokenizerFromJSON(value)).toThrow(ModelFileError);
});
