// Every format reads the documents that its text has, in pieces of any size, and says which line it cannot read.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resolveConfig } from "../../src/config.ts";
import { ConfigError, DataError } from "../../src/errors.ts";
import { formatByNames } from "../../src/text/detect.ts";
import { corpusOf, fromText, type How, readFiles } from "../../src/text/read_corpus.ts";
import { readCorpus } from "../harness/read_corpus.ts";

type Corpus = ReturnType<typeof fromText>;
const documentsOf = (corpus: Corpus) =>
  Array.from({ length: corpus.num_docs }, (_, d) => corpus.document(d));
const utf8 = (text: string) => new TextEncoder().encode(text);

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Reads a text in pieces of so many bytes. */
const inPieces = (text: string, how: How, size: number) =>
  readCorpus(cut(utf8(text), size), how, { source: "f.txt", path: "f.txt" });

const filesOf = (texts: Record<string, string>) =>
  Object.entries(texts).map(([source, text]) => ({
    source,
    path: source,
    pieces: cut(utf8(text), 7),
  }));

describe("documents between blank lines", () => {
  test("keep their own lines", () => {
    const text = "\n one\ntwo \n  \t\n\nthree\r\n\r\n\r\nfour";
    const corpus = fromText(text, "paragraphs");
    expect(documentsOf(corpus)).toEqual(["one\ntwo", "three", "four"]);
    expect(corpus.format).toBe("paragraphs");
  });

  test("are what a regular expression finds, in pieces of any size", async () => {
    const texts = fc
      .array(fc.constantFrom("a", "é漢", "\u{1F600}", " ", "\t", "\n", "\n\n", "\r\n"), {
        maxLength: 40,
      })
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (text, size) => {
        const plain = text.replaceAll("\r\n", "\n");
        const documents = plain
          .split(/\n[ \t]*(?=\n)/)
          .map((part) => part.trim())
          .filter((part) => part !== "");
        fc.pre(documents.length > 0);
        expect(documentsOf(await inPieces(text, "paragraphs", size))).toEqual(documents);
      }),
      { numRuns: 200 },
    );
  });
});

describe("documents between separators", () => {
  const how = (separator: string) => ({ format: "auto", separator }) as const;

  test("are what stands between, stripped, and no empty one", async () => {
    const text = "<|e|>one\n\ntwo <|e|> \n<|e|>three<|e";
    for (const size of [1, 2, 3, 5, 100]) {
      const corpus = await inPieces(text, how("<|e|>"), size);
      expect(documentsOf(corpus)).toEqual(["one\n\ntwo", "three<|e"]);
      expect([corpus.format, corpus.format_reason]).toEqual(["paragraphs", null]);
    }
  });

  test("may be of lines' ends and tabs, written with a backslash", () => {
    expect(documentsOf(fromText("a\n\nb\r\n\r\n\r\nc", how("\\n\\n\\n")))).toEqual(["a\n\nb", "c"]);
    expect(documentsOf(fromText("a\tb\\c", how("\\t")))).toEqual(["a", "b\\c"]);
    expect(documentsOf(fromText("a\tb\\c", how("\\\\")))).toEqual(["a\tb", "c"]);
  });

  test("never cut a character of two code units", async () => {
    const text = "\u{1F600}\u{1F601}|\u{1F602}\u{1F603}";
    expect(documentsOf(await inPieces(text, how("|\u{1F602}"), 3))).toEqual([
      "\u{1F600}\u{1F601}",
      "\u{1F603}",
    ]);
    expect(fromText(text, how("||||")).tokenizer.vocab_size).toBe(6);
  });

  test("are for paragraphs alone", () => {
    const config = { format: "lines", separator: "--" } as const;
    expect(() => resolveConfig("microgpt", config)).toThrow(
      `separator is "--", but only with format paragraphs does it part documents`,
    );
  });
});

describe("JSON lines", () => {
  const turns = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello\r\nyou" },
  ];

  test("have texts under a key of any name", () => {
    const text = `{"text":"one\\r\\ntwo","n":1}\n\n{"story":"other","text":"three"}\n{"text":""}\n{"text":" \\n\\t"}\n`;
    const corpus = fromText(text, "jsonl");
    expect(documentsOf(corpus)).toEqual(["one\ntwo", "three"]);
    expect(corpus.skipped).toEqual(["2 empty records"]);
    const stories = fromText(`{"story":"a"}\n{"story":"b"}`, { format: "auto", field: "story" });
    expect(documentsOf(stories)).toEqual(["a", "b"]);
    expect(stories.format_reason).toBe("jsonl: each line is a record of JSON with its story");
  });

  test.each([
    ["a prompt and its completion", { prompt: "Hi", completion: "Hello" }, turns.slice(1, 2)],
    ["messages", { messages: turns }, turns.slice(0, 2)],
    ["a list of turns", turns, turns.slice(0, 2)],
  ])("are conversations: %s", (_, record, first) => {
    const line = JSON.stringify(record);
    for (const format of ["auto", "jsonl", "chat"] as const) {
      const corpus = fromText(`${line}\n${line}\n`, format);
      expect(corpus.format).toBe("chat");
      expect(corpus.conversations).toHaveLength(2);
      expect(corpus.conversations[1].slice(0, first.length)).toEqual(first);
      expect(corpus.conversations[1].at(-1)!.role).toBe("assistant");
      expect(corpus.conversations[1].at(-1)!.content).not.toContain("\r");
      const again = corpusOf([corpus.source(0), corpus.source(1)], "chat");
      expect(again.conversations).toEqual(corpus.conversations);
    }
  });

  test.each<[string, string, string]>([
    ["no JSON", "{text: 1}", "is no JSON by itself."],
    ["half a line", `{"text": "a`, "is no JSON by itself."],
    [
      "a list over many lines",
      "[",
      "is no JSON by itself: its file seems to be one list, and each record needs a line.",
    ],
    ["another key", `{"txt": "a", "id": 1}`, `has the keys "txt", "id".`],
    ["a number", "7", "is 7 and no object."],
    ["a text that is none", `{"text": null}`, `has null as its "text" and no text.`],
    ["half a character", `{"text": "\\ud83d"}`, "holds half a character"],
    ["no turns", "[]", "is a conversation without a turn."],
    [
      "another role",
      `[{"role": "bot", "content": "a"}]`,
      `has a turn 1 whose role is "bot", which is none of`,
    ],
    [
      "a role of Object's",
      `[{"role": "constructor", "content": "a"}]`,
      `has a turn 1 whose role is "constructor"`,
    ],
    ["no content", `[{"role": "user"}]`, "has a turn 1 whose content is missing and no text."],
    [
      "no answer",
      `[{"role": "user", "content": "a"}]`,
      "is a conversation in which the assistant says nothing.",
    ],
    [
      "a late system",
      `[{"role":"assistant","content":"a"},{"role":"system","content":"b"}]`,
      "has a turn 2 of the system, which only the first may be.",
    ],
    [
      "a conversation among texts",
      JSON.stringify(turns),
      "is a conversation, where texts are read.",
    ],
  ])("name the line that has %s, or count it", (_, bad, problem) => {
    const text = `{"text":"a"}\n\n${bad}\n{"text":"b"}\n`;
    const reading = () => fromText(text, "jsonl", "f.jsonl");
    expect(reading).toThrow(DataError);
    expect(reading).toThrow(`Line 3 of f.jsonl ${problem}`);
    expect(reading).toThrow(`A line of jsonl is {"text": "…"}, `);
    expect(reading).toThrow("--skip-bad-lines");
    const corpus = fromText(text, { format: "jsonl", skip_bad_lines: true }, "f.jsonl");
    expect(documentsOf(corpus)).toEqual(["a", "b"]);
    expect(corpus.skipped[0]).toMatch(/^1 bad line \(line 3 of f\.jsonl /);
  });

  test("none of which can be read say why there is nothing", () => {
    const how = { format: "jsonl", skip_bad_lines: true } as const;
    expect(() => fromText("a\nb\n", how, "f")).toThrow(
      "f holds no documents: what was in it is left out: 2 bad lines (line 1 of f is no JSON by itself).",
    );
  });

  test("come in pieces of any size, from several files, each with its own lines", async () => {
    const files = {
      "a.jsonl": `{"text":"é"}\n{"text":"b"}`,
      "b.jsonl": `{"text":"c"}\r\n{"oops":1}`,
    };
    const reading = readFiles(filesOf(files), "auto", {
      source: "both",
      names: Object.keys(files),
    });
    await expect(reading).rejects.toThrow(`Line 2 of b.jsonl has the keys "oops".`);
  });
});

describe("CSV", () => {
  const plain = { format: "csv" } as const;

  test("has quoted delimiters, quotes and line ends", () => {
    const text = `id,text\r\n1,"one, ""two""\r\nthree"\r\n2,four\r\n3,\r\n`;
    const corpus = fromText(text, plain);
    expect(documentsOf(corpus)).toEqual([`one, "two"\nthree`, "four"]);
    expect(corpus.skipped).toEqual(["1 empty record"]);
  });

  test("is whatever was written, with any delimiter, in pieces of any size", async () => {
    const field = fc
      .array(fc.constantFrom("a", "é", "\u{1F600}", " ", '"', ",", ";", "\t", "|", "\n"), {
        maxLength: 6,
      })
      .map((parts) => parts.join(""));
    const rows = fc.array(fc.tuple(field, field, field), { minLength: 1, maxLength: 6 });
    const delimiter = fc.constantFrom(",", ";", "\t", "|");
    const size = fc.integer({ min: 1, max: 9 });
    const always = fc.boolean();
    await fc.assert(
      fc.asyncProperty(rows, delimiter, size, always, async (rows, delimiter, size, always) => {
        fc.pre(rows.some(([, text]) => text.trim() !== ""));
        const write = (value: string) =>
          always || /["\n,;\t|]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
        const table = [["a", "text", "c"], ...rows];
        const text = table.map((row) => row.map(write).join(delimiter)).join("\n");
        const corpus = await inPieces(text, plain, size);
        const wanted = rows.map(([, text]) => text).filter((text) => text.trim() !== "");
        expect(documentsOf(corpus)).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  test("wants to know the column, where none is called text", () => {
    const text = "id;Story;lang\n1;once;en\n";
    const reading = (field: string) => () => fromText(text, { format: "csv", field }, "t.csv");
    expect(reading("")).toThrow(ConfigError);
    expect(reading("")).toThrow(
      `t.csv has the columns "id", "Story", "lang", and none of them is called text; say with field`,
    );
    expect(reading("stor")).toThrow(`it has "id", "Story", "lang". Did you mean "Story"?`);
    expect(documentsOf(reading("story")())).toEqual(["once"]);
    expect(documentsOf(fromText("a,A,A\n1,2,3", { format: "csv", field: "a" }))).toEqual(["1"]);
    expect(documentsOf(fromText("only\none\ntwo", plain))).toEqual(["one", "two"]);
  });

  test("says that several columns are called so", () => {
    const reading = (text: string, field: string) => () =>
      fromText(text, { format: "csv", field }, "t.csv");
    expect(reading("a,b,a\n1,2,3", "a")).toThrow(
      `field is "a", but t.csv has several columns that are called "a", among "a", "b", "a"; rename all but one of them.`,
    );
    expect(reading("Text,b,TEXT\n1,2,3", "")).toThrow(
      `t.csv has several columns that are called "text", among "Text", "b", "TEXT"; rename all but one of them, or say`,
    );
    expect(fromText("text,text\n1,2\n", "auto", "t.csv").format_reason).toBe(
      "lines: several of its columns are called text, and field names no other",
    );
  });

  test("names the row that is wrong, or counts it", () => {
    const text = `id,text\n1,"a\nb"\n2\n3,"c"d\n4,e\n`;
    const reading = () => fromText(text, plain, "t.csv");
    expect(reading).toThrow(
      "Line 4 of t.csv has 1 field, and the header 2. A row of csv has a field",
    );
    const corpus = fromText(text, { ...plain, skip_bad_lines: true }, "t.csv");
    expect(documentsOf(corpus)).toEqual(["a\nb", "e"]);
    expect(corpus.skipped).toEqual(["2 bad lines (line 4 of t.csv has 1 field, and the header 2)"]);
    expect(() => fromText(`text\n"a\nb\n`, { ...plain, skip_bad_lines: true }, "t.csv")).toThrow(
      "The row on line 2 of t.csv has a quote that never closes",
    );
  });

  test("is found by its name, where it is plain which column it is about", () => {
    const of = (text: string, field = "") => fromText(text, { format: "auto", field }, "t.csv");
    expect(of("id,text\n1,a\n").format_reason).toBe("csv: its name says so");
    const rows = Array.from({ length: 9 }, (_, i) => `${i},a,b`).join("\n");
    expect(of(`id,x,y\n${rows}`).format_reason).toBe(
      "lines: none of its columns is called text, and field names no other",
    );
    expect(documentsOf(of("id,x\n1,a\n", "x"))).toEqual(["a"]);
  });
});

describe("several files", () => {
  test("are one stream, in which each begins a line", async () => {
    const files = { a: "one", b: "", c: "two\n", d: "three" };
    const corpus = await readFiles(filesOf(files), "text", { source: "all" });
    expect(documentsOf(corpus)).toEqual(["one\ntwo\nthree"]);
  });

  test("are documents that none of them shares", async () => {
    const files = { a: "one\ntwo", b: "\ufeffthree\r", c: "\nfour" };
    const lines = await readFiles(filesOf(files), "lines", { source: "all" });
    expect(documentsOf(lines)).toEqual(["one", "two", "three", "four"]);
    const paragraphs = await readFiles(filesOf(files), "paragraphs", { source: "all" });
    expect(documentsOf(paragraphs)).toEqual(["one\ntwo", "three", "four"]);
  });

  test("have the format that all their names tell, or what they look like", () => {
    expect(formatByNames(["a.jsonl", "b.NDJSON"])).toBe("jsonl");
    expect(formatByNames(["a.tsv"])).toBe("csv");
    expect(formatByNames(["a.jsonl", "b.txt"])).toBeUndefined();
    expect(formatByNames(["a.jsonl", "b.csv"])).toBeUndefined();
  });

  test("are told by name where one is no text", async () => {
    const files = [
      ...filesOf({ "a.txt": "fine\n" }),
      { source: "b.txt", path: "b.txt", pieces: cut(Uint8Array.of(0x63, 0xe9, 10), 9) },
    ];
    await expect(readFiles(files, "auto", { source: "all" })).rejects.toThrow(
      "b.txt is not UTF-8 text: byte 1",
    );
  });
});
