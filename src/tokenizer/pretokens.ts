// The words that byte-level BPE works within, cut from a text by GPT-2's or GPT-4's pattern: scanned, which is several
// times as fast as the regular expression.

import { isLead } from "../surrogates.ts";

/** Named as --bpe-pattern has them. */
export type BpePattern = "gpt2" | "gpt4";

/**
 * The patterns as regular expressions, for files: what \s, \p{L} and \p{N} mean there is White_Space, Letter and
 * Number of Unicode. GPT-4's is that of cl100k, which has digits in threes and takes no line end into a word.
 */
export const patterns: Record<BpePattern, string> = {
  gpt2: String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  gpt4:
    String.raw`'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
    String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
};

/** A longer one is cut there, in UTF-16 code units: no text has such words, and memory stays bounded. */
export const LONGEST = 2 ** 20;

/** The end of the pre-token that begins at `from`, where a pre-token before it ended or the text begins. */
export const scans: Record<BpePattern, (text: string, from: number) => number> = {
  gpt2: scanGpt2,
  gpt4: scanGpt4,
};

const LETTER = 1;
const NUMBER = 2;
const SPACE = 3;
const OTHER = 4;

const QUOTE = 0x27;
const BLANK = 0x20;
const LF = 0x0a;
const CR = 0x0d;

/** The class of each code point, 0 where it was not asked for yet. New letters are those of the engine's Unicode. */
const classes = new Uint8Array(0x110000);

const letter = /\p{L}/u;
const number = /\p{N}/u;
const space = /\p{White_Space}/u;

function classify(code: number): number {
  const char = String.fromCodePoint(code);
  if (letter.test(char)) classes[code] = LETTER;
  else if (number.test(char)) classes[code] = NUMBER;
  else classes[code] = space.test(char) ? SPACE : OTHER;
  return classes[code];
}

const classOf = (code: number) => classes[code] || classify(code);
const width = (code: number) => (code > 0xffff ? 2 : 1);
const isLineEnd = (unit: number) => unit === LF || unit === CR;

/** The end of the characters of one class from `from` on. */
function endOfRun(text: string, from: number, limit: number, kind: number): number {
  let i = from;
  while (i < limit) {
    const code = text.codePointAt(i)!;
    if (classOf(code) !== kind) return i;
    i += width(code);
  }
  return i;
}

/** White space before a word: its last character is left to the word. */
function endOfSpace(text: string, from: number, limit: number): number {
  const end = endOfRun(text, from, limit, SPACE);
  return end === limit || end - from === 1 ? end : end - 1;
}

/** How long the contraction is that begins with the quote at `i`: 2, 3 or, where there is none, 0. */
function contraction(text: string, i: number, fold: number): number {
  const a = text.charCodeAt(i + 1) | fold;
  if (a === 0x73 || a === 0x74 || a === 0x6d || a === 0x64) return 2; // s t m d
  const b = text.charCodeAt(i + 2) | fold;
  const double = (a === 0x72 || a === 0x76) && b === 0x65; // re ve
  return double || (a === 0x6c && b === 0x6c) ? 3 : 0; // ll
}

function scanGpt2(text: string, from: number): number {
  const limit = Math.min(text.length, from + LONGEST);
  let code = text.codePointAt(from)!;
  if (code === QUOTE) {
    const length = contraction(text, from, 0);
    if (length > 0) return from + length;
  }
  let start = from;
  if (code === BLANK && from + 1 < limit) code = text.codePointAt(++start)!;
  const kind = classOf(code);
  if (kind === SPACE) return endOfSpace(text, from, limit);
  return endOfRun(text, start + width(code), limit, kind);
}

function scanGpt4(text: string, from: number): number {
  const limit = Math.min(text.length, from + LONGEST);
  const code = text.codePointAt(from)!;
  if (code === QUOTE) {
    const length = contraction(text, from, 0x20); // either case
    if (length > 0) return from + length;
  }
  const kind = classOf(code);
  let next = from + width(code);
  if (kind === LETTER) return endOfRun(text, next, limit, LETTER);
  if (kind === NUMBER) {
    for (let digits = 1; digits < 3 && next < limit; digits++) {
      const digit = text.codePointAt(next)!;
      if (classOf(digit) !== NUMBER) break;
      next += width(digit);
    }
    return next;
  }
  const following = next < limit ? classOf(text.codePointAt(next)!) : 0;
  if (following === LETTER && !isLineEnd(code)) return endOfRun(text, next, limit, LETTER);
  if (kind === OTHER || (code === BLANK && following === OTHER)) {
    next = endOfRun(text, next, limit, OTHER);
    while (next < limit && isLineEnd(text.charCodeAt(next))) next++;
    return next;
  }
  const end = endOfRun(text, from, limit, SPACE);
  for (let last = end; last > from; last--) if (isLineEnd(text.charCodeAt(last - 1))) return last;
  return endOfSpace(text, from, limit);
}

/**
 * How many of a text's first UTF-16 code units have pre-tokens of their own, whatever text follows: a text that comes
 * in pieces can be cut there. 0 where none is sure yet.
 */
export function certainLength(text: string, pattern: BpePattern): number {
  const boundary = pattern === "gpt2" ? isBoundaryGpt2 : isBoundaryGpt4;
  // The last unit may be half of a character.
  for (let i = text.length - 1; i > 0; i--) {
    const after = text.codePointAt(i)!;
    const low = text.charCodeAt(i - 1);
    const isTrail = low >= 0xdc00 && low < 0xe000 && i > 1;
    const before = isTrail ? text.codePointAt(i - 2)! : low;
    if (i === text.length - 1 && isLead(after)) continue;
    if (boundary(before > 0xffff ? before : low, after)) return i;
  }
  // One long word: what a scan saw as far as it ever looks is sure as well.
  let end = 0;
  while (text.length - end > LONGEST + 3) end = scans[pattern](text, end);
  return end;
}

/** Whether a pre-token always ends between two characters; it may do so between others as well. */
function isBoundaryGpt2(before: number, after: number): boolean {
  const kind = classOf(before);
  return kind !== SPACE && kind !== classOf(after) && before !== QUOTE;
}

function isBoundaryGpt4(before: number, after: number): boolean {
  const kind = classOf(before);
  const next = classOf(after);
  if (kind === SPACE || kind === next) return false;
  return kind !== OTHER || (next !== LETTER && !isLineEnd(after));
}
