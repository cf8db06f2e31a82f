// FNV-1a, a word at a time: tells apart what was not made to be alike.

export const FNV_START = 0x811c9dc5;

/** The hash of what `hash` is of, and then the word. */
export function fnv(hash: number, word: number): number {
  return Math.imul(hash ^ word, 0x01000193) >>> 0;
}

/** A hash in hexadecimal digits. */
export function hex(hash: number): string {
  return hash.toString(16).padStart(8, "0");
}
