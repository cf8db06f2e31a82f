// Bytes to text: the encodings that are read, and what is said of the others.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DataError } from "../src/errors.ts";
import { decodeText, TextBytes } from "../src/text/decode.ts";
import { shellQuote } from "../src/shell_quote.ts";
import { temporaryFolder } from "./cli/fake_io.ts";

const bytes = (...values: (number | string)[]) =>
  Uint8Array.from(values.flatMap((v) => (typeof v === "string" ? [...Buffer.from(v)] : [v])));
const utf16le = (text: string) => new Uint8Array(Buffer.from(text, "utf16le"));
const utf16be = (text: string) => new Uint8Array(Buffer.from(text, "utf16le").swap16());

/** Decoded in pieces of some bytes. */
function inPieces(data: Uint8Array, size: number): string {
  const decoding = new TextBytes("f.txt", "f.txt");
  let text = "";
  for (let at = 0; at < data.length; at += size)
    text += decoding.push(data.subarray(at, at + size));
  return text + decoding.end();
}

const text = "añ€ 漢字\r\n\u{1F600}\u{1F601} \ufeffend";

describe.each([
  ["UTF-8", bytes(text)],
  ["UTF-8 with a byte-order mark", bytes(0xef, 0xbb, 0xbf, text)],
  ["UTF-16, the low byte first", utf16le(`\ufeff${text}`)],
  ["UTF-16, the high byte first", utf16be(`\ufeff${text}`)],
])("%s", (_, data) => {
  test.each([1, 2, 3, 5, 1000])("is read in pieces of %i bytes", (size) => {
    expect(inPieces(data, size)).toBe(text);
  });
});

test("a short text needs no fourth byte", () => {
  for (const short of ["", "a", "ab", "é"]) expect(inPieces(bytes(short), 1)).toBe(short);
});

test.each([
  ["at the start", bytes(0xff, "ada"), 0],
  ["in the middle", bytes("ada\n", 0xc3, 0x28, "x"), 4],
  ["cut off at the end", bytes("añ", 0xe2, 0x82), 3],
  ["a character too long", bytes("ab", 0xf8, 0x88, 0x80, 0x80, 0x80), 2],
  ["half of a surrogate pair", bytes("abc", 0xed, 0xa0, 0x80), 3],
])("invalid UTF-8 is refused with its place, in any pieces: %s", (_, data, offset) => {
  for (const size of [1, 2, 3, 4, 7, 1000]) {
    expect(() => inPieces(data, size)).toThrow(DataError);
    expect(() => inPieces(data, size)).toThrow(`f.txt is not UTF-8 text: byte ${offset} starts no`);
  }
});

const letters = (count: number) => Array.from({ length: count }, () => 0xe9);

test.each<[string, Uint8Array, RegExp]>([
  ["of Western Europe", bytes("caf", 0xe9, " cr", 0xe8, "me"), /iconv -f CP1252 -t UTF-8 f\.txt >/],
  ["that CP1252 has no character for", bytes("caf", 0xe9, 0x81), /iconv -f ISO-8859-1 -t UTF-8/],
  ["a PDF", bytes("%PDF-1.7\n", 0xe2, 0xe3, 0xcf), /f\.txt is a PDF file, and no text\. Save what/],
  ["a document", bytes("PK", 3, 4, 0, 0, 0xff), /is a ZIP archive, as \.docx, \.odt and \.epub/],
  ["compressed", bytes(0x1f, 0x8b, 8, 0, 0, 0xff), /is a file compressed by gzip, and no text/],
  ["with a NUL", bytes("ab", 0, "c"), /^f\.txt holds a NUL \(byte 2\), so it is a binary file/],
  ["controls", bytes("ab", ...letters(9), 1, 2, 3), /is full of control characters, so it is a b/],
  ["UTF-16 unmarked", utf16le("hello there"), /looks like UTF-16 .*iconv -f UTF-16LE -t UTF-8/],
  ["its other half", utf16be("hello there"), /looks like UTF-16 .*iconv -f UTF-16BE -t UTF-8/],
  [
    "UTF-32",
    bytes(0xff, 0xfe, 0, 0, "a", 0, 0, 0),
    /is UTF-32 text\. Convert it: iconv -f UTF-32 /,
  ],
  ["broken UTF-16", utf16le("\ufeffab\ud800c"), /is not the UTF-16 text .*: byte \d+ starts no/],
])("what is no UTF-8 is told apart: %s", (_, data, message) => {
  for (const size of [1, 3, 1000]) {
    expect(() => inPieces(data, size)).toThrow(message);
    expect(() => inPieces(data, size)).toThrow(/^f\.txt [^\n]+\.$/);
  }
});

test("standard input has no name to convert: it is piped", () => {
  const decoding = new TextBytes("standard input", null);
  decoding.push(bytes("caf", 0xe9, "!"));
  expect(() => decoding.end()).toThrow("convert it: pipe it through iconv -f CP1252 -t UTF-8;");
});

test.each(["poems.txt", "my poems.txt", "it's $HOME.txt", "-f", "a;b"])(
  "the advice works where it is pasted: %s",
  (name) => {
    const cwd = temporaryFolder();
    const latin = bytes("caf", 0xe9, "\ncr", 0xe8, "me\n");
    writeFileSync(`${cwd}/${name}`, latin);
    let command = "";
    try {
      decodeText(latin, name);
    } catch (error) {
      [command] = /iconv .*(?=; for any other)/.exec((error as Error).message)!;
    }
    execFileSync("sh", ["-c", command], { cwd });
    expect(decodeText(readFileSync(`${cwd}/${name}.utf8`), "")).toBe("café\ncrème\n");
  },
);

test("words are quoted where a shell would take them apart", () => {
  expect(shellQuote("a/b-c_1.txt")).toBe("a/b-c_1.txt");
  expect(shellQuote("it's")).toBe(`'it'\\''s'`);
  expect(shellQuote("")).toBe("''");
});
