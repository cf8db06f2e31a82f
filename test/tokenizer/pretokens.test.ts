// Pre-tokens are what the patterns say, wherever a text is cut into pieces.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PretokenCounts } from "../../src/tokenizer/count_pretokens.ts";
import { type BpePattern, LONGEST, certainLength, scans } from "../../src/tokenizer/pretokens.ts";
import { prose, texts } from "./samples.ts";
import { pretokensOf } from "./twins.ts";

function scanAll(text: string, pattern: BpePattern): string[] {
  const found: string[] = [];
  for (let from = 0; from < text.length;) {
    const end = scans[pattern](text, from);
    found.push(text.slice(from, end));
    from = end;
  }
  return found;
}

test("GPT-2's pattern on what it is known for", () => {
  const text = "It's 12345 o'clock,  y'all'RE\n\n here!!\t\t'tis  ";
  const expected = [
    "It",
    "'s",
    " 12345",
    " o",
    "'",
    "clock",
    ",",
    " ",
    " y",
    "'",
    "all",
    "'",
    "RE",
  ];
  expected.push("\n\n", " here", "!!", "\t", "\t", "'t", "is", "  ");
  expect(scanAll(text, "gpt2").join("|")).toBe(expected.join("|"));
});

test("GPT-4's pattern has digits in threes, contractions of either case, and line ends of their own", () => {
  const text = "It's 12345 (yes)\n\n  y'all'RE!\n\n\nx";
  const expected = [
    "It",
    "'s",
    " ",
    "123",
    "45",
    " (",
    "yes",
    ")\n\n",
    " ",
    " y",
    "'all",
    "'RE",
    "!\n\n\n",
    "x",
  ];
  expect(scanAll(text, "gpt4").join("|")).toBe(expected.join("|"));
});

describe.for(["gpt2", "gpt4"] as const)("%s", (pattern) => {
  test("any text has the pre-tokens of the regular expression", () => {
    const property = fc.property(texts, (text) => {
      expect(scanAll(text, pattern)).toEqual(pretokensOf(text, pattern));
    });
    fc.assert(property, { numRuns: 3000 });
  });

  test("prose has them too", () => {
    const text = prose(400);
    expect(scanAll(text, pattern)).toEqual(pretokensOf(text, pattern));
  });

  test("what is certain stays the same whatever follows", () => {
    const property = fc.property(texts, texts, (before, after) => {
      const length = certainLength(before, pattern);
      const parts = [before.slice(0, length), before.slice(length) + after];
      const apart = parts.flatMap((part) => scanAll(part, pattern));
      expect(apart).toEqual(scanAll(before + after, pattern));
    });
    fc.assert(property, { numRuns: 3000 });
    expect(certainLength("one two", pattern)).toBe(3);
  });

  test("a text is counted alike in pieces of any size, and its documents apart", () => {
    const count = (documents: readonly string[], size: number) => {
      const counts = new PretokenCounts(pattern);
      for (const document of documents) {
        for (let at = 0; at < document.length; at += size) {
          counts.push(document.slice(at, at + size));
        }
        counts.end();
      }
      return counts.counts;
    };
    const property = fc.property(
      fc.array(texts),
      fc.integer({ min: 1, max: 20 }),
      (documents, size) => {
        const expected = new Map<string, number>();
        for (const pretoken of documents.flatMap((text) => scanAll(text, pattern))) {
          expected.set(pretoken, (expected.get(pretoken) ?? 0) + 1);
        }
        expect(count(documents, size)).toEqual(expected);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  test("a word that never ends is cut where memory is bounded, in pieces as well", () => {
    const text = "x".repeat(2.5 * LONGEST);
    const lengths = scanAll(text, pattern).map(({ length }) => length);
    expect(lengths).toEqual([LONGEST, LONGEST, LONGEST / 2]);
    const counts = new PretokenCounts(pattern);
    for (let at = 0; at < text.length; at += 5000) counts.push(text.slice(at, at + 5000));
    expect([...counts.end().counts.values()]).toEqual([2, 1]);
  });
});

test("the rarest pre-tokens are forgotten where there are too many", () => {
  const counts = new PretokenCounts("gpt2", { kept: 100, units: 1000 });
  for (let i = 0; i < 5000; i++) counts.push(` often w${i.toString(26)}`);
  counts.end();
  expect(counts.counts.size).toBeLessThanOrEqual(100);
  expect(counts.counts.get(" often")).toBe(5000);
  expect(counts.forgotten).toBeGreaterThan(0);
});
