// A text of more characters than a string may have.

import { expect, test } from "vitest";
import { readCorpus } from "./harness/read_corpus.ts";

test("a text longer than any string costs a byte a character", async () => {
  const piece = new TextEncoder().encode("It was a bright cold day in April.\n".repeat(30_000));
  const pieces = Math.ceil(2 ** 29 / piece.length); // V8's strings are a little shorter
  async function* stream() {
    for (let i = 0; i < pieces; i++) yield piece;
  }
  const size = pieces * piece.length;
  const before = process.memoryUsage().arrayBuffers;
  const corpus = await readCorpus(stream(), "text", { source: "a book", path: null, bytes: size });
  expect(corpus.ids.length).toBe(size);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1.1 * size);
  expect(corpus.tokenizer.decode(corpus.ids.subarray(-11))).toBe(" in April.\n");
}, 300_000);
