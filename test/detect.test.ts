// Which format a text looks like.

import { expect, test } from "vitest";
import names from "../src/text/names.txt?raw";
import { detectFormat, HEAD } from "../src/text/detect.ts";
import { fromText } from "../src/text/read_corpus.ts";

const words = `the sun went down over hills and far away people came home with their baskets full
of plums while somewhere a bell rang twice nobody knew why until old Marta told them`.split(/\s+/);
let place = 0;
/** Some words, always others. */
const say = (count: number) =>
  Array.from({ length: count }, () => words[(place = (place * 31 + 7) % 997) % words.length]).join(
    " ",
  );
const sentence = (count: number) => `${say(count).replace(/^./, (c) => c.toUpperCase())}.`;
const many = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i));

/** Lines of so many characters at most. */
function wrap(text: string, width: number): string[] {
  return text.match(new RegExp(`.{1,${width}}(?= |$)`, "g"))!.map((line) => line.trim());
}

const code = `function add(a, b) {
  const sum = a + b;
  if (sum > 10) {
    return 10;
  }
  return sum;
}
`;
const speech = (i: number) => `${["ANNA", "OTTO"][i % 2]}:\n${sentence(6)}\n${sentence(5)}\n`;

test.each<[string, string[], string]>([
  ["names", names.split("\n"), "lines: each line stands for itself"],
  [
    "lower-case headlines",
    many(200, (i) => say(4 + (i % 7))),
    "lines: each line stands for itself",
  ],
  ["verses", many(80, () => sentence(8)), "lines: each line stands for itself"],
  ["a few names", ["ada", "grace", "alan"], "lines: each line stands for itself"],
  [
    "names in groups",
    many(300, (i) => (i % 30 === 0 ? "" : say(1))),
    "lines: each line stands for itself",
  ],
  [
    "names with a blank line after each",
    many(60, () => `${say(1)}\n`),
    "lines: each line stands for itself",
  ],
  [
    "names that are all indented",
    many(60, () => `  ${say(1)}`),
    "lines: each line stands for itself",
  ],
  ["poems, one a line", many(90, (i) => say(20 + (i % 60))), "lines: each line stands for itself"],
  [
    "JSON lines",
    many(50, (i) => JSON.stringify({ i, verse: sentence(30) })),
    "lines: each line is a record",
  ],
  [
    "JSON lines with a text each",
    many(50, (i) => JSON.stringify({ i, text: sentence(30) })),
    "jsonl: each line is a record of JSON with its text",
  ],
  [
    "conversations",
    many(50, () => JSON.stringify({ prompt: sentence(5), completion: sentence(9) })),
    "chat: each line is a conversation in JSON",
  ],
  [
    "a table",
    many(50, (i) => `${i},${say(1)},${say(2)},2024-01-0${i % 10}`),
    "lines: each line is a record",
  ],
  [
    "a chat",
    many(90, (i) => `${["anna", "otto"][i % 2]}: ${say(3 + (i % 9))}`),
    "lines: each line stands for itself",
  ],
  ["one long line", [say(300)], "text: few long lines"],
  ["some paragraphs", many(8, () => many(6, () => sentence(9)).join(" ")), "text: few long lines"],
  [
    "a novel, a paragraph a line",
    many(40, () => many(6, () => sentence(9)).join(" ")),
    "text: its lines are paragraphs of prose",
  ],
  ["a play", many(40, speech), "text: blank lines part it into paragraphs"],
  [
    "paragraphs between blank lines",
    many(30, () => `${sentence(30)}\n`),
    "text: blank lines part it into paragraphs",
  ],
  [
    "a wrapped book",
    wrap(many(60, () => sentence(12)).join(" "), 70),
    "text: its lines are wrapped",
  ],
  ["code", many(9, () => code), "text: lines are indented"],
])("%s", (_, lines, reason) => {
  const text = `${lines.join("\n")}\n`;
  const { format, why } = detectFormat(text);
  expect(`${format}: ${why}`).toBe(reason);
  for (const end of ["\r\n", "\r"]) {
    const { format_reason } = fromText(text.replaceAll("\n", end), "auto");
    expect(format_reason).toBe(reason);
  }
});

test("the beginning of a long text is enough, and its last line, which is cut, does not count", () => {
  const head = "ada\ngrace\nalan\n".repeat(HEAD / 15);
  expect(fromText(head + say(9).repeat(1000), "auto").format).toBe("lines");
  const line = `${"a".repeat(HEAD)}\n`;
  expect(detectFormat(line.slice(0, HEAD))).toEqual({ format: "text", why: "few long lines" });
});

test.each(["", "\n", " \n\t\n"])(
  "a text of nothing is lines, and they say that there are none: %j",
  (text) => {
    expect(detectFormat(text).format).toBe("lines");
    expect(() => fromText(text, "auto", "f.txt")).toThrow("f.txt holds no documents");
  },
);

const records = many(30, () => say(3)).map((text, id) => ({ id, text }));

test.each([
  [`[\n  {"text": "anna"},\n  {"text": "otto"}\n]\n`],
  [JSON.stringify(records, null, 2)],
  [JSON.stringify(records)],
])("of a list in JSON it is said how it would be read as records: %j", (text) => {
  expect(detectFormat(text).why).toMatch(
    /; it is one list in JSON, which is read as records \(jsonl\) if each has a line of its own$/,
  );
  expect(detectFormat(text).format).not.toBe("jsonl");
});
