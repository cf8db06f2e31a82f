// JSON that two readers cannot take for two things: as JSON.parse has it, but for equal keys, depth and prototypes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStrictJson } from "../src/strict_json.ts";

test("what JSON.parse takes is the same here, however it is written", () => {
  const value = fc.jsonValue({ stringUnit: "binary", maxDepth: 5 });
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2, "\t"), (value, space) => {
      const text = JSON.stringify(value, null, space);
      fc.pre(!text.includes('"__proto__":'));
      expect(parseStrictJson(text)).toEqual(JSON.parse(text));
    }),
  );
});

/** What is wrong with the text, to a parser; undefined if nothing. */
function faultOf(parse: (text: string) => unknown, text: string): unknown {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    return error;
  }
}

test("what is no JSON is none here", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]":,\\ a1') }), (text) => {
      fc.pre(faultOf(JSON.parse, text) !== undefined);
      expect(faultOf(parseStrictJson, text)).toBeInstanceOf(SyntaxError);
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ['{"a": 1, "a": 2}', 'the key "a" is there twice'],
  ['{"a": 1, "\\u0061" : 2}', 'the key "a" is there twice'],
  ['[{"b": {"x": "}"}, "b"\n:\t1}]', 'the key "b" is there twice'],
  ['{"a\\"": 1, "b": [{}], "a\\"": 2}', 'the key "a\\"" is there twice'],
  ['{"\\u005f_proto__": 1}', 'the key "__proto__" is not allowed'],
  [`${"[".repeat(101)}${"]".repeat(101)}`, "it is nested more than 100 deep"],
])("%s is refused", (text, sentence) => {
  expect(() => parseStrictJson(text)).toThrow(sentence);
});

test.each([
  '{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 2}]}',
  '{"a": "a\\":", "b": "{\\"a\\": 1, \\"a\\": 2}"}',
  '["a", "a", ":", "a"]',
  `${"[".repeat(100)}${"]".repeat(100)}`,
  '{"": 1, " ": 2}',
])("%s is taken", (text) => {
  expect(parseStrictJson(text)).toEqual(JSON.parse(text));
});
