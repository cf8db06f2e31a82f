// A file of any size, of which a range at a time is read.

export interface ByteSource {
  /** For the messages. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** The bytes from `begin` on, up to `end`; both lie in the file. */
  read(begin: number, end: number): Uint8Array;
}

export function sourceOf(name: string, bytes: Uint8Array): ByteSource {
  return { name, size: bytes.length, read: (begin, end) => bytes.subarray(begin, end) };
}
