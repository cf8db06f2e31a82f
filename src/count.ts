// Numbers of things, in words for people: the one place where a noun gets its plural.

/** 1234567 as 1,234,567. */
export function count(n: number): string {
  return n.toLocaleString("en-US");
}

/** `1 layer`, `2 layers`. */
export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}
