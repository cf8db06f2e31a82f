// What tells one answer from another.

/** @param kind what it begins with: `msg_` */
export function newId(kind: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `${kind}${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
