// A text is read in the browser as in Node: the same encodings, the same format, the same tokens.

import { expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { fingerprint } from "../../src/text/fingerprint.ts";
import names from "../../src/text/names.txt?raw";
import { presets } from "../../src/presets.ts";
import { fromText } from "../../src/text/read_corpus.ts";
import { readCorpus } from "../harness/read_corpus.ts";

const prose =
  "Ärger über Straßen, 漢字 and \u{1F600}.\r\nThe bell rang twice, and nobody knew why it did. ";
const book = prose.repeat(40);

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const from = { source: "book.txt", path: "book.txt" };

function utf16(text: string, littleEndian: boolean): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(2 * text.length + 2));
  bytes.setUint16(0, 0xfeff, littleEndian);
  for (let i = 0; i < text.length; i++)
    bytes.setUint16(2 * i + 2, text.charCodeAt(i), littleEndian);
  return new Uint8Array(bytes.buffer);
}

test.each([
  ["UTF-8", new TextEncoder().encode(book)],
  ["UTF-16 LE", utf16(book, true)],
  ["UTF-16 BE", utf16(book, false)],
])("%s by pieces is what the string is", async (_, bytes) => {
  const whole = fromText(book, "text");
  const corpus = await readCorpus(pieces(bytes, 101), "text", from);
  expect(corpus.document(0)).toBe(book.replaceAll("\r\n", "\n"));
  expect([...corpus.ids]).toEqual([...whole.ids]);
  expect(await fingerprint(corpus.tokens(8, undefined, presets.microgpt), corpus.tokenizer)).toBe(
    await fingerprint(whole.tokens(8, undefined, presets.microgpt), whole.tokenizer),
  );
});

test("the format is what the text looks like", () => {
  const lines = fromText(names, "auto");
  expect([lines.format_reason, lines.num_docs]).toEqual([
    "lines: each line stands for itself",
    1936,
  ]);
  const text = fromText(book.replaceAll("\r\n", " "), "auto");
  expect([text.format_reason, text.num_docs]).toEqual(["text: few long lines", 1]);
});

test("what is no text is refused with the same sentence", async () => {
  const latin = Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x0a);
  const reading = readCorpus(pieces(latin, 2), "auto", from);
  await expect(reading).rejects.toThrow(DataError);
  await expect(reading).rejects.toThrow(
    "book.txt is not UTF-8 text: byte 3 starts no character. If it is in an encoding of Western Europe, convert " +
      "it: iconv -f CP1252 -t UTF-8 book.txt > book.txt.utf8; for any other, put its name in the place of CP1252.",
  );
});
