// Where a text that goes on can be cut: what is encoded there stays the same whatever follows, and soon there is such a
// place, also in a text without spaces.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { finish } from "../../src/finish.ts";
import { fromText } from "../../src/text/read_corpus.ts";
import { tokenizeInParts } from "../../src/text/tokenize.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { tokenizerFromJSON } from "../../src/tokenizer/file.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { WordTokenizer } from "../../src/tokenizer/word.ts";
import { byteFallback, unigram, wordPiece } from "./foreign.ts";
import { texts } from "./samples.ts";

const chinese = "北京天氣很好";
/** One that adds a mark before all that it reads, so that two words cannot be parted. */
const marked = {
  ...byteFallback(),
  normalizer: { type: "Prepend", prepend: "s" },
};

const kinds: [string, () => Tokenizer][] = [
  ["char", () => CharTokenizer.fromDocuments([chinese])],
  ["word", () => new WordTokenizer([chinese, "x"])],
  ["Unigram", () => tokenizerFromJSON(unigram())],
  ["WordPiece", () => tokenizerFromJSON(wordPiece())],
  ["BPE with a fallback to bytes", () => tokenizerFromJSON(byteFallback())],
  ["one that parts no words", () => tokenizerFromJSON(marked)],
];

// BPE's own cuts words of a million characters (LONGEST).
describe.each(kinds)("%s", (_, make) => {
  test("encodes a text without spaces in parts", () => {
    const tokenizer = make();
    const longest = { encode: 0, encoding: 0 };
    const watched = new Proxy(tokenizer, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (name !== "encode" && name !== "encoding") return value;
        if (value === undefined) return undefined;
        return (text: string) => {
          longest[name] = Math.max(longest[name], text.length);
          // What the tokens are is no matter here, and takes long.
          return name === "encode" ? [0] : none();
        };
      },
    });
    const text = chinese.repeat(2 ** 19 / chinese.length);
    const encoded = finish(tokenizeInParts(fromText(text, "text"), watched));
    expect(Math.max(longest.encode, longest.encoding)).toBeLessThanOrEqual(2 ** 18);
    expect(encoded.ids.length).toBeGreaterThan(0);
  });
});

function* none(): Generator<void, number[]> {
  yield;
  return [0];
}

describe("what is certain stays the same whatever follows", () => {
  test.each(["char", "word"])("%s", (kind) => {
    const tokenizer =
      kind === "word"
        ? new WordTokenizer(["a", "don", "12345"])
        : CharTokenizer.fromDocuments(
            Array.from({ length: 0x3000 }, (_, i) => String.fromCharCode(i)),
          );
    const known =
      kind === "word" ? texts : texts.map((text) => text.replace(/[^\0-\u2fff]/gu, "é"));
    const property = fc.property(known, known, (before, after) => {
      const { end, next } = tokenizer.certain(before);
      const parts = [before.slice(0, end), before.slice(next) + after];
      expect(parts.flatMap((part) => [...tokenizer.encode(part)])).toEqual([
        ...tokenizer.encode(before + after),
      ]);
    });
    fc.assert(property, { numRuns: 300 });
  });

  test("half a character waits for the other", () => {
    const tokenizer = CharTokenizer.fromDocuments(["a\u{1F600}"]);
    expect(tokenizer.certain(`a${"\u{1F600}"[0]}`)).toEqual({ end: 1, next: 1 });
  });

  test.each([
    ["WordPiece", wordPiece(), "onetwo,"],
    ["one that parts no words", marked, "one two "],
  ] as const)("%s, where there is no place between two words", (_, file, piece) => {
    const tokenizer = tokenizerFromJSON(file);
    const text = piece.repeat(2 ** 17 / piece.length + 20);
    const { end, next } = tokenizer.certain(text.slice(0, 2 ** 16 + 100));
    expect([end, next]).toEqual([2 ** 16, 2 ** 16]);
    expect(
      [...tokenizer.encode(text.slice(0, end)), ...tokenizer.encode(text.slice(next))].join(),
    ).toBe([...tokenizer.encode(text)].join());
  });
});
