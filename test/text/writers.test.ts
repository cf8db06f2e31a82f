// A text that is too large for memory or for its numbers is told so.

import { afterEach, expect, test, vi } from "vitest";
import { DataError } from "../../src/errors.ts";
import { CharacterWriter } from "../../src/text/character_writer.ts";
import { TokenWriter } from "../../src/text/token_writer.ts";

afterEach(() => vi.unstubAllGlobals());

test.each([
  ["tokens", (text: unknown) => new TokenWriter(300, 10).push(text as number[])],
  ["characters", (text: unknown) => new CharacterWriter("The text").push(text as string)],
])("more %s than 32 bits count are refused with their number", (things, push) => {
  const sentence = `The text has more than 4,294,967,295 ${things}, which are the most; train on a part of it.`;
  expect(() => push({ length: 2 ** 32 })).toThrow(new DataError(sentence));
});

test("where memory has no room it is said for how much, also at the beginning", async () => {
  const { Uint32Array } = globalThis;
  vi.stubGlobal(
    "Uint32Array",
    class extends Uint32Array {
      constructor(length: number) {
        if (length > 1e6) throw new RangeError("Array buffer allocation failed");
        super(length);
      }
    },
  );
  vi.resetModules();
  const { TokenWriter } = await import("../../src/text/token_writer.ts");
  expect(() => new TokenWriter(70_000, 2 ** 31)).toThrow(
    "The text is too large for this machine's memory: 2,147,483,648 tokens take 8,192 MiB. Train on a part of it.",
  );
  const writer = new TokenWriter(70_000, 10);
  expect(() => writer.push({ length: 2 ** 20 })).toThrow("1,048,576 tokens take 4 MiB.");
});

test("numbers grow wider with the characters that there are, and the memory with the text", () => {
  const many = Array.from({ length: 70_000 }, (_, i) => String.fromCodePoint(0x10000 + i));
  const writer = new CharacterWriter("The text", 10);
  const kinds = [300, 2 ** 16, 70_000].map((count) => {
    writer.push(many.slice(writer.length, count).join(""));
    return writer.end().constructor.name;
  });
  expect(kinds).toEqual(["Uint16Array", "Uint16Array", "Uint32Array"]);
  expect([...writer.end()]).toEqual(many.map((_, i) => i));
});
