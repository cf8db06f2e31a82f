// Which format `auto` is: documents that are a line each, one text, or records. Judged by names and by the beginning
// alone, so that it is the same for a file, a pasted text and a stream.

import { groupBy } from "../group_by.ts";
import type { Config } from "../config.ts";
import { documentColumn } from "./formats/csv.ts";
import { USUAL_FIELD } from "./formats/jsonl.ts";
import { readRecord } from "./formats/records.ts";

/** Characters that are looked at. */
export const HEAD = 2 ** 18;

export interface Detected {
  format: Config["format"];
  /** As the end of a sentence. */
  why: string;
}

const FEW_LINES = 16;
const LONG = 64;

type Named = "jsonl" | "csv";

/** What the endings of names tell. */
const endings: readonly [RegExp, Named][] = [
  [/\.(jsonl|ndjson)$/i, "jsonl"],
  [/\.(csv|tsv)$/i, "csv"],
];

/** The format that the names of all files tell; undefined where they tell none, or several. */
export function formatByNames(names: readonly string[]): Named | undefined {
  const told = names.map((name) => endings.find(([ending]) => ending.test(name))?.[1]);
  const [first] = told;
  return told.every((format) => format === first) ? first : undefined;
}

/** Whether a text can be what its name tells: of a table it has to be plain which column it is about. */
const canBe: Record<Named, (head: string, field: string) => boolean> = {
  jsonl: () => true,
  csv: (head, field) => typeof documentColumn(head, field) === "number",
};

/**
 * @param head the first HEAD characters of a text, with LF between its lines, or all of it where it is shorter
 * @param named what the names of its files tell
 * @param field the name of what holds the documents of records, where one was given
 */
export function detectFormat(head: string, named?: Named, field = ""): Detected {
  const lines = linesOf(head);
  const full = lines.filter((line) => line.trim() !== "");
  if (full.length === 0) return { format: "lines", why: "it is empty" };
  const records = recordsIn(head, full, named, field);
  if (records !== undefined) return records;
  if (named !== undefined) {
    const called = documentColumn(head, field) === "several" ? "several" : "none";
    const are = called === "several" ? "are" : "is";
    return {
      format: "lines",
      why: `${called} of its columns ${are} called text, and field names no other`,
    };
  }
  const plain = plainFormat(lines, full);
  const list = /^\s*\[\s*\{/.test(head);
  return list ? { ...plain, why: `${plain.why}; ${LIST}` } : plain;
}

const LIST =
  "it is one list in JSON, which is read as records (jsonl) if each has a line of its own";

/** The format of records that a text is in; undefined for any other text, null for one that is empty. */
export function recordFormat(
  head: string,
  named?: Named,
  field = "",
): Config["format"] | null | undefined {
  const full = linesOf(head).filter((line) => line.trim() !== "");
  return full.length === 0 ? null : recordsIn(head, full, named, field)?.format;
}

function linesOf(head: string): string[] {
  const lines = head.split("\n");
  // The last one is cut.
  if (head.length >= HEAD && lines.length > 1) lines.pop();
  return lines;
}

/** @param full the lines of the head that are not blank */
function recordsIn(
  head: string,
  full: readonly string[],
  named: Named | undefined,
  field: string,
): Detected | undefined {
  const jsonl = jsonLines(full, field);
  if (jsonl !== undefined) return jsonl;
  if (named !== undefined && canBe[named](head, field)) {
    return { format: named, why: "its name says so" };
  }
  return field === "" ? undefined : { format: "csv", why: "a field is named, and it is no JSON" };
}

function plainFormat(lines: readonly string[], full: readonly string[]): Detected {
  const share = (holds: (line: string, i: number) => boolean) =>
    full.filter(holds).length / full.length;
  const mean = full.reduce((sum, { length }) => sum + length, 0) / full.length;

  if (share(isRecord) > 0.9) return { format: "lines", why: "each line is a record" };
  if (full.length < FEW_LINES && mean >= LONG) return { format: "text", why: "few long lines" };
  if (isIndented(full)) return { format: "text", why: "lines are indented" };
  const paragraphs = countParagraphs(lines);
  const together = full.length / paragraphs; // lines of a paragraph
  if (paragraphs > 0.05 * full.length && paragraphs > 1 && (together >= 1.5 || mean >= LONG)) {
    return { format: "text", why: "blank lines part it into paragraphs" };
  }
  if (mean >= 40 && isWrapped(full)) return { format: "text", why: "its lines are wrapped" };
  const sentences = (line: string) => (line.match(/[.!?…。！？]["'”’)]*(\s|$)/g) ?? []).length;
  if (mean >= 3 * LONG && share((line) => sentences(line) >= 2) > 0.5) {
    return { format: "text", why: "its lines are paragraphs of prose" };
  }
  return { format: "lines", why: "each line stands for itself" };
}

/** Lines that are looked at for records. */
const FEW_RECORDS = 50;

/** Of lines that are records of JSON, what the first of them holds. */
function jsonLines(full: readonly string[], field: string): Detected | undefined {
  if (!full[0].trimStart().startsWith("{") && !full[0].trimStart().startsWith("["))
    return undefined;
  const key = field || USUAL_FIELD;
  const found = full.slice(0, FEW_RECORDS).map((line) => readRecord(line.trim(), key));
  const good = found.filter((record) => !("problem" in record));
  if (good.length < 0.9 * found.length) return undefined;
  return "conversation" in good[0]
    ? { format: "chat", why: "each line is a conversation in JSON" }
    : { format: "jsonl", why: `each line is a record of JSON with its ${key}` };
}

/** JSON, or three fields and more. */
function isRecord(line: string): boolean {
  const text = line.trim();
  if (/^[[{].*[\]}],?$/.test(text)) return true;
  return ["\t", ";", "|", ","].some((delimiter) => {
    const fields = text.split(delimiter);
    return fields.length >= 3 && !fields.slice(1).some((field) => field.startsWith(" "));
  });
}

/** Whether lines begin further in than others, as code does. */
function isIndented(lines: readonly string[]): boolean {
  const depths = groupBy(lines, (line) => /^(\t| {2})*/.exec(line)![0].length);
  const even = Math.max(...[...depths.values()].map(({ length }) => length)); // as far in as most
  return lines.length - even > 0.1 * lines.length && lines.length - even > 1;
}

/** Runs of lines that blank ones part. */
function countParagraphs(lines: readonly string[]): number {
  return lines.filter((line, i) => line.trim() !== "" && (lines[i - 1] ?? "").trim() === "").length;
}

/** Whether most lines end where the next word would have gone over the edge. */
function isWrapped(lines: readonly string[]): boolean {
  const lengths = lines.map(({ length }) => length).sort((a, b) => a - b);
  const edge = lengths[Math.floor(0.95 * (lengths.length - 1))];
  const full = lines.slice(0, -1).filter((line, i) => {
    const [next] = lines[i + 1].split(" ", 1);
    return line.split(" ").length >= 4 && line.length + 1 + Math.min(next.length, 15) > edge;
  });
  return full.length > 0.7 * (lines.length - 1);
}
