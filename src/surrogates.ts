// Halves of characters beyond U+FFFF, which take two UTF-16 code units.

/** Whether a code unit is the first half of such a character. */
export function isLead(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/** Where a text may be cut at `end`, or else one unit further: no character is cut in two. */
export function wholeCharacters(text: string, end: number): number {
  return end < text.length && isLead(text.charCodeAt(end - 1)) ? end + 1 : end;
}
