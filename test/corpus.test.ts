// A text becomes a corpus: whatever pieces it comes in, it is what plain strings say it is.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { ConfigError, DataError } from "../src/errors.ts";
import { tokenizeDocuments } from "../src/text/batches.ts";
import { coverage } from "../src/text/coverage.ts";
import { Documents } from "../src/text/documents.ts";
import { fingerprint } from "../src/text/fingerprint.ts";
import { presets } from "../src/presets.ts";
import { corpusOf, fromText } from "../src/text/read_corpus.ts";
import { readCorpus } from "./harness/read_corpus.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { Training } from "../src/training/train.ts";

const documentsOf = (corpus: ReturnType<typeof fromText>) =>
  Array.from({ length: corpus.num_docs }, (_, d) => corpus.document(d));

/** The lines of a text, as strings have it. */
function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim());
  return lines.filter((line) => line !== "");
}

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const from = { source: "f.txt", path: "f.txt" };

/** Texts of a few kinds of characters, so that each is next to each other one soon. */
const texts = fc
  .array(fc.constantFrom(..."ab\n\n\r\t \u00a0\u2003éж漢", "\u{1F600}", "\r\n"), { maxLength: 60 })
  .map((parts) => parts.join(""));

test("lines are stripped, whatever ends them, and empty ones dropped", () => {
  const corpus = fromText(" ada\r\n\r\n\tgrace  \rалан\n", "lines");
  expect(documentsOf(corpus)).toEqual(["ada", "grace", "алан"]);
  expect(corpus.tokenizer.chars.join("")).toBe("acdegrалн");
});

test("any text gives its lines, and their tokens, in pieces of any size", async () => {
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (text, size) => {
      const lines = linesOf(text);
      fc.pre(lines.length > 0);
      const corpus = await readCorpus(cut(utf8(text), size), "lines", from);
      expect(documentsOf(corpus)).toEqual(lines);
      const tokenizer = CharTokenizer.fromDocuments(lines);
      expect(corpus.tokenizer.chars).toEqual(tokenizer.chars);
      const documents = corpus.tokens(3, undefined, presets.microgpt) as Documents;
      const sequences = Array.from({ length: documents.length }, (_, d) => documents.at(d));
      expect(sequences).toEqual(tokenizeDocuments(lines, tokenizer, 3));
      sequences.forEach((sequence, d) => expect(documents.positions(d)).toBe(sequence!.length - 1));
    }),
    { numRuns: 200 },
  );
});

test("any text is one stream with LF at its lines' ends, in pieces of any size", async () => {
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (text, size) => {
      fc.pre(text !== "");
      const corpus = await readCorpus(cut(utf8(text), size), "text", from);
      expect(documentsOf(corpus)).toEqual([text.replace(/\r\n?/g, "\n")]);
    }),
    { numRuns: 100 },
  );
});

test("ids take as many bytes as they need, however late a character comes", () => {
  const chars = (count: number) =>
    Array.from({ length: count }, (_, i) => String.fromCodePoint(0x4e00 + i)).join("");
  for (const [count, type] of [
    [256, Uint8Array],
    [257, Uint16Array],
  ] as const) {
    const text = chars(count);
    const { ids, tokenizer } = fromText(text, "text");
    expect(ids).toBeInstanceOf(type);
    expect(tokenizer.decode(ids)).toBe(text);
  }
  const many = Array.from({ length: 65_537 }, (_, i) => String.fromCodePoint(0x10000 + i)).join("");
  const { ids, tokenizer } = fromText(many, "text");
  expect(ids).toBeInstanceOf(Uint32Array);
  expect(ids.length).toBe(65_537);
  expect(tokenizer.decode(ids) === many).toBe(true);
});

test("half a character of two code units, which only a program can give, is one by itself", () => {
  const { tokenizer, ids } = fromText("a\ud83d\ude00\ud83db\ude00", "text");
  expect(tokenizer.chars).toHaveLength(5);
  expect(tokenizer.decode(ids)).toBe("a\ud83d\ude00\ud83db\ude00");
});

test("a very long line costs what its context takes, and no more", () => {
  const corpus = fromText(`${"x".repeat(5e6)}\nab`, "lines");
  const documents = corpus.tokens(16, undefined, presets.microgpt) as Documents;
  expect(documents.at(0)).toHaveLength(17);
  expect(documents.at(1)).toEqual(Int32Array.of(3, 0, 1, 3));
  expect(documents.at(2)).toBeUndefined();
});

test("documents in another order, and a part of them, are the same documents", () => {
  const documents = corpusOf(["a", "ab", "abc"], "lines").tokens(
    8,
    undefined,
    presets.microgpt,
  ) as Documents;
  const lengths = (list: Documents) =>
    Array.from({ length: list.length }, (_, d) => list.at(d)!.length - 2);
  const turned = documents.inOrder(Uint32Array.of(2, 0, 1));
  expect(lengths(turned)).toEqual([3, 1, 2]);
  expect(lengths(turned.slice(1))).toEqual([1, 2]);
  expect(lengths(turned.slice(1).inOrder(Uint32Array.of(1, 0)))).toEqual([2, 1]);
});

describe("a training takes", () => {
  const config = resolveConfig("microgpt", { block_size: 4, num_steps: 1 });
  const open = (documents: Parameters<typeof corpusOf>[0], format: "lines" | "text" | "auto") =>
    Training.open({ config: { ...config, format }, documents, device: "cpu" });

  test("documents as they are, a string as a file, and what was read already", async () => {
    const starts = [
      await open(["a b ", "\n"], "lines"),
      await open("a b \n\n c", "lines"),
      await open(fromText("ab\ncd", "lines"), "auto"),
    ].map(({ start }) => [start.num_docs, start.vocab_size, start.config.format]);
    expect(starts).toEqual([
      [2, 5, "lines"], // a, b, space, newline, BOS
      [2, 5, "lines"], // a, b, c, space, BOS
      [2, 5, "lines"],
    ]);
  });

  test("auto for the format: what it looks like is the run's format, and why is said", async () => {
    const book = "The sun went down over the hills and the people came home. ".repeat(40);
    const { start } = await open(book, "auto");
    expect(start.config.format).toBe("text");
    expect(start.format_reason).toBe("text: few long lines");
    expect((await open([book], "auto")).start.config.format).toBe("text");
    expect((await open(["ann", "bob"], "auto")).start).toMatchObject({
      config: { format: "lines" },
      format_reason: null,
    });
  });

  test("no text of another format, and no nothing", async () => {
    await expect(open(fromText("ab\ncd", "lines"), "text")).rejects.toThrow(ConfigError);
    for (const nothing of [[], "", " \n"]) {
      await expect(open(nothing, "lines")).rejects.toThrow(DataError);
    }
    await expect(open([], "text")).rejects.toThrow(/^There are no documents; .*\.$/);
  });
});

describe("coverage", () => {
  const of = (lengths: number[], block_size: number) =>
    coverage(
      corpusOf(
        lengths.map((n) => "x".repeat(n)),
        "lines",
      ),
      block_size,
    );

  test("counts what lies beyond the context", () => {
    expect(of([3, 16, 20], 16)).toEqual({
      num_truncated: 2, // the end of the second is cut as well
      num_text_tokens: 39,
      num_unread: 4,
      fitting_block_size: 24,
    });
    expect(of([3, 5], 16)).toMatchObject({ num_truncated: 0, num_unread: 0 });
  });

  test("finds the smallest context that reads all, or all but 1 % of a text that is cut by more", () => {
    const slow = (lengths: number[], spared: number) => {
      const left = (b: number) => lengths.reduce((sum, n) => sum + Math.max(0, n + 1 - b), 0);
      const all = lengths.reduce((sum, n) => sum + n + 1, 0);
      for (let b = 8; b <= 1024; b += 8) if (left(b) <= spared * all) return b;
      return null;
    };
    const lengths = Array.from({ length: 300 }, (_, i) => (i * i) % 211);
    expect(of(lengths, 16).fitting_block_size).toBe(slow(lengths, 0.01));
    expect(of(lengths, 200).num_unread).toBeGreaterThan(0);
    expect(of(lengths, 200).fitting_block_size).toBe(slow(lengths, 0));
    expect(of([2000, 3], 16).fitting_block_size).toBeNull();
    expect(of([1023, 3], 16).fitting_block_size).toBe(slow([1023, 3], 0.01));
  });

  test("of one text is all", () => {
    expect(coverage(fromText("abc\nd", "text"), 2)).toMatchObject({
      num_text_tokens: 5,
      num_unread: 0,
    });
  });
});

describe("a fingerprint", () => {
  const lines = corpusOf(["anna", "bob", "carla"], "lines");
  const stream = fromText("anna\nbob\ncarla", "text");

  test("is the one that runs of earlier versions were saved with", async () => {
    const bytes = (ids: number[], tokenizer: CharTokenizer) =>
      Buffer.concat([
        Buffer.from(Int32Array.from(ids).buffer),
        Buffer.from(JSON.stringify(tokenizer.toJSON())),
      ]);
    const { createHash } = await import("node:crypto");
    const sha = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    const { tokenizer } = lines;
    const sequences = ["anna", "bob", "carla"].flatMap((document) =>
      [tokenizer.bos, ...tokenizer.encode(document), tokenizer.bos].slice(0, 5),
    );
    expect(await fingerprint(lines.tokens(4, undefined, presets.microgpt), tokenizer)).toBe(
      sha(bytes(sequences, tokenizer)),
    );
    expect(await fingerprint(stream.tokens(4, undefined, presets.microgpt), stream.tokenizer)).toBe(
      sha(bytes([...stream.ids], stream.tokenizer)),
    );
  });

  test("of a text of several pieces tells each token and its place", async () => {
    const of = (text: string) => {
      const { ids, tokenizer } = fromText(text, "text");
      return fingerprint(ids, tokenizer, { piece: 16 });
    };
    const all = await Promise.all(["abababab", "abababba", "abababa", "babababa"].map(of));
    expect(new Set(all).size).toBe(4);
    expect(await of("abababab")).toBe(all[0]);
  });
});
