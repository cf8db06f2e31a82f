// Which format `auto` is: documents that are a line each, or one text. Judged by the beginning alone, so that it is
// the same for a file, a pasted text and a stream.

import { groupBy } from "../group_by.ts";
import type { Config } from "../config.ts";

/** Characters that are looked at. */
export const HEAD = 2 ** 18;

export interface Detected {
  format: Config["format"];
  /** As the end of a sentence. */
  why: string;
}

const FEW_LINES = 16;
const LONG = 64;

/** @param head the first HEAD characters of a text, with LF between its lines, or all of it where it is shorter */
export function detectFormat(head: string): Detected {
  const lines = head.split("\n");
  // The last one is cut.
  if (head.length >= HEAD && lines.length > 1) lines.pop();
  const full = lines.filter((line) => line.trim() !== "");
  if (full.length === 0) return { format: "lines", why: "it is empty" };
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
