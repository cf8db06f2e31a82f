// Several files are read together if each of them alone would be read so; else it is said which are odd.

import { expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { HEAD } from "../../src/text/detect.ts";
import { type How, readFiles } from "../../src/text/read_corpus.ts";

async function* once(text: string) {
  yield new TextEncoder().encode(text);
}

async function read(texts: Record<string, string>, how: How = "auto") {
  const files = Object.entries(texts).map(([source, text]) => ({
    source: source.replace(/^web\//, "https://example.org/"),
    path: null,
    name: source,
    pieces: once(text),
  }));
  const corpus = await readFiles(files, how, { source: "all", names: Object.keys(texts) });
  const documents = Array.from({ length: corpus.num_docs }, (_, d) => corpus.document(d));
  return [corpus.format, ...documents];
}

const jsonl = `{"text":"anna"}\n{"text":"otto"}\n`;
const chat = `[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"}]\n`;
const csv = `id,text\n1,emma\n2,hugo\n`;
const txt = "carl\nida\n";

test.each<[Record<string, string>, string]>([
  [{ "r.jsonl": jsonl, "r.csv": csv }, "r.jsonl holds records in JSON and r.csv a table, which"],
  [{ "r.csv": csv, "r.jsonl": jsonl }, "r.csv holds a table and r.jsonl records in JSON, which"],
  [{ "r.jsonl": jsonl, "a.txt": txt }, "r.jsonl holds records in JSON and a.txt plain text, which"],
  [{ "a.txt": txt, "b.txt": txt, "c.csv": csv }, "a.txt holds plain text and c.csv a table, which"],
  [{ "a.txt": txt, "web/r": chat }, "a.txt holds plain text and https://example.org/r records in"],
  [{ "e.txt": " \n", "a.txt": txt, "r.tsv": "text\na\n" }, "a.txt holds plain text and r.tsv a ta"],
  [
    { "a.csv": `${csv}3,${"x".repeat(HEAD)}\n`, "b.txt": txt },
    "a.csv holds a table and b.txt plain",
  ],
  // A table without the column that is wanted is read as lines alone, and so is a list.
  [{ "a.csv": "x,y\n1,2\n", "r.jsonl": jsonl }, "a.csv holds plain text and r.jsonl records"],
  [
    { "a.json": `[\n{"text":"a"}\n]\n`, "r.jsonl": jsonl },
    "a.json holds plain text and r.jsonl re",
  ],
])("files of two kinds are told apart (%#)", async (files, sentence) => {
  const error = await read(files).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DataError);
  const { message } = error as DataError;
  expect(message).toContain(sentence);
  expect(message).toMatch(
    /separate runs, .* say with format \(--format\) how all of them are read/,
  );
});

test("where a format is given, all are read in it", async () => {
  const raw = { "r.jsonl": `{"text":"anna"}\n`, "r.csv": "text\nemma\n" };
  expect(await read(raw, "lines")).toEqual(["lines", `{"text":"anna"}`, "text", "emma"]);
  expect(await read({ ...raw, "a.txt": "x" }, { format: "auto", separator: "\\n" })).toEqual([
    "paragraphs",
    `{"text":"anna"}`,
    "text",
    "emma",
    "x",
  ]);
});

test("those of one kind are read as ever", async () => {
  expect(await read({ "a.jsonl": jsonl, "b.log": jsonl, "empty.txt": "\n" })).toEqual([
    "jsonl",
    "anna",
    "otto",
    "anna",
    "otto",
  ]);
  expect(await read({ "a.csv": csv, "b.tsv": "text\tid\nmax\t1\n" })).toEqual([
    "csv",
    "emma",
    "hugo",
    "max",
  ]);
  expect(await read({ "a.txt": txt, "b.md": "one\n", "c.csv": "x,y\n1,2\n" })).toEqual([
    "lines",
    "carl",
    "ida",
    "one",
    "x,y",
    "1,2",
  ]);
});
