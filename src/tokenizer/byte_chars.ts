// How files of byte-level tokenizers write bytes: each as a character that can be seen.

/** The character of each byte: the visible ones of Latin-1 are themselves, the others follow from U+0100 on. */
const chars: readonly string[] = charsOfBytes();

const bytes: ReadonlyMap<string, number> = new Map(chars.map((char, byte) => [char, byte]));

function charsOfBytes(): string[] {
  const isVisible = (byte: number) =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad && byte <= 0xff);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isVisible(byte) ? byte : 0x100 + others++),
  );
}

export function toByteChars(token: Uint8Array): string {
  let text = "";
  for (const byte of token) text += chars[byte];
  return text;
}

/** @returns undefined if one of the characters stands for no byte */
export function fromByteChars(text: string): Uint8Array | undefined {
  const token = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = bytes.get(text[i]);
    if (byte === undefined) return undefined;
    token[i] = byte;
  }
  return token;
}
