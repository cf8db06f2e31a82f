// A page as text, however it is made: what is at the ends of its lines, how deep its elements go, what takes it apart.

import { Readability } from "@mozilla/readability";
import { expect, test, vi } from "vitest";
import { readPage } from "../../cli/sources/web_page.ts";
import { DataError } from "../../src/errors.ts";

const within = (elements: number, text: string) =>
  `${"<div>".repeat(elements)}${text}${"</div>".repeat(elements)}`;

test.each([
  ["<p>one<b> two</b>\n three</p><p>four</p>", "one two three\n\nfour"],
  ["<p>a<br> b </p><ul><li> c</li><li>d</li></ul>", "a\nb\n\nc\nd"],
  ["<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc"],
  ["<pre>a  \n  b\t\n\n\n\nc</pre>", "a\n  b\n\nc"],
  [within(400, "deep"), "deep"],
])("%s is read as its text", async (html, text) => {
  expect((await readPage(html, "u")).text).toBe(`${text}\n`);
});

// Each takes more time than a test has where its length is taken twice.
test("a line of half a million spaces is read at once", async () => {
  const spaces = " ".repeat(500_000);
  const { text } = await readPage(`<pre>a${spaces}b${spaces}\nc</pre>`, "u");
  expect(text).toBe(`a${spaces}b\nc\n`);
});

test("a page whose elements are nested without end is refused with a sentence", async () => {
  for (const depth of [600, 20_000]) {
    const reading = readPage(within(depth, "deep"), "https://example.org/");
    await expect(reading).rejects.toThrow(DataError);
    await expect(reading).rejects.toThrow(
      "https://example.org/ is a page with more than 512 elements in one another",
    );
  }
});

test("what takes a page apart may fail, and a sentence tells it", async () => {
  const parse = vi.spyOn(Readability.prototype, "parse").mockImplementation(() => {
    throw new RangeError("Maximum call stack size exceeded");
  });
  try {
    const reading = readPage("<p>a</p>", "u");
    await expect(reading).rejects.toThrow(DataError);
    await expect(reading).rejects.toThrow(
      "u is a page that cannot be taken apart: Maximum call stack size exceeded. Save what it says",
    );
  } finally {
    parse.mockRestore();
  }
});
