// Bytes of a file to text, piece by piece: UTF-8, or UTF-16 where a byte-order mark says so. What is neither is
// told apart once all of it was seen: another encoding, or no text at all.

import { DataError } from "../errors.ts";
import { shellQuote } from "../shell_quote.ts";

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

/** First bytes of files that hold text, but are none. */
const kinds: readonly [start: readonly number[], name: string][] = [
  [[0x25, 0x50, 0x44, 0x46], "a PDF file"],
  [[0x50, 0x4b, 0x03, 0x04], "a ZIP archive, as .docx, .odt and .epub files are"],
  [[0x1f, 0x8b], "a file compressed by gzip"],
];
/** Bytes that CP1252 has no character for. */
const NOT_CP1252 = [0x81, 0x8d, 0x8f, 0x90, 0x9d];
/** Of all bytes, from which on a file is no text in any 8-bit encoding. */
const CONTROLS = 0.02;

/** The whole text of a file that is in memory. @throws DataError as TextBytes */
export function decodeText(bytes: Uint8Array, source: string): string {
  const text = new TextBytes(source, source);
  return text.push(bytes) + text.end();
}

export class TextBytes {
  private readonly source: string;
  private readonly path: string | null;
  private decoder: TextDecoder | undefined;
  private encoding: Encoding = "utf-8";
  /** The first bytes: held back until they are enough to tell the encoding, kept to tell the kind of file. */
  private start: Uint8Array = new Uint8Array(0);
  /** Bytes that were decoded. */
  private offset = 0;
  /** The bytes of a character that the next ones complete. */
  private pending: Uint8Array = new Uint8Array(0);
  /** Where the text ends to be text. */
  private invalidAt: number | undefined;
  /** From there on: how often each byte was seen, and how often 0 at even and at odd places. */
  private readonly seen = new Float64Array(256);
  private readonly zeros = [0, 0];

  /**
   * @param source where the bytes come from, for the messages
   * @param path of the file; null where it is none
   */
  constructor(source: string, path: string | null) {
    this.source = source;
    this.path = path;
  }

  /** The characters that these bytes complete; none any more once they were no text. */
  push(bytes: Uint8Array): string {
    if (this.decoder !== undefined) return this.decode(bytes);
    this.start = concat(this.start, bytes);
    return this.start.length < 4 ? "" : this.open();
  }

  /**
   * The characters that were waiting for more.
   * @throws DataError if the bytes are not text
   */
  end(): string {
    const text = this.decoder === undefined ? this.open() : "";
    if (this.invalidAt === undefined) {
      try {
        return text + this.decoder!.decode();
      } catch {
        this.invalidAt = this.offset - this.pending.length;
        this.count(this.pending, this.invalidAt);
      }
    }
    throw new DataError(`${this.source} ${this.complaint(this.invalidAt)}`);
  }

  private open(): string {
    const { start } = this;
    const [a, b, c, d] = start;
    if (a === 0xff && b === 0xfe && !(c === 0 && d === 0)) this.encoding = "utf-16le";
    if (a === 0xfe && b === 0xff) this.encoding = "utf-16be";
    this.decoder = new TextDecoder(this.encoding, { fatal: true });
    this.start = start.slice(0, 4);
    return this.decode(start);
  }

  private decode(bytes: Uint8Array): string {
    let text = "";
    if (this.invalidAt === undefined) {
      try {
        text = this.decoder!.decode(bytes, { stream: true });
        const nul = text.includes("\0") ? bytes.indexOf(0) : -1;
        if (nul >= 0) this.invalidAt = this.offset + nul;
      } catch {
        this.invalidAt = this.offset - this.pending.length + this.firstInvalid(bytes);
      }
    }
    const invalid = this.invalidAt !== undefined;
    if (invalid) this.count(concat(this.pending, bytes), this.offset - this.pending.length);
    this.pending = invalid ? new Uint8Array(0) : this.incomplete(bytes);
    this.offset += bytes.length;
    return invalid ? "" : text;
  }

  /** Offset in pending + bytes of the first byte that belongs to no character, found by halving. */
  private firstInvalid(bytes: Uint8Array): number {
    const all = concat(this.pending, bytes);
    const decodes = (end: number, stream: boolean) => {
      try {
        new TextDecoder(this.encoding, { fatal: true }).decode(all.subarray(0, end), { stream });
        return true;
      } catch {
        return false;
      }
    };
    let valid = 0;
    let invalid = all.length;
    while (invalid - valid > 1) {
      const middle = (valid + invalid) >> 1;
      // stream: a character cut off at the end is not yet an error
      if (decodes(middle, true)) valid = middle;
      else invalid = middle;
    }
    while (!decodes(valid, false)) valid--; // back to where the cut-off character starts
    return valid;
  }

  /** The last bytes of pending + bytes that are a character's first ones: of UTF-8 three at most. */
  private incomplete(bytes: Uint8Array): Uint8Array {
    const last = concat(this.pending, bytes.subarray(-3)).slice(-3);
    if (this.encoding !== "utf-8") return last.slice(0, 0);
    for (let length = 1; length <= last.length; length++) {
      const byte = last[last.length - length];
      if (byte < 0x80) break;
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 0;
      if (needed > 0) return needed > length ? last.slice(-length) : last.slice(0, 0);
    }
    return last.slice(0, 0);
  }

  private count(bytes: Uint8Array, offset: number): void {
    for (let i = Math.max(0, this.invalidAt! - offset); i < bytes.length; i++) {
      this.seen[bytes[i]]++;
      if (bytes[i] === 0) this.zeros[(offset + i) & 1]++;
    }
  }

  /** The rest of a sentence: what it is instead of text, and what helps. */
  private complaint(at: number): string {
    const { seen, zeros, start, encoding } = this;
    const kind = kinds.find(([bytes]) => bytes.every((byte, i) => start[i] === byte));
    const total = seen.reduce((sum, count) => sum + count, 0);
    const [few, many] = [Math.min(...zeros), Math.max(...zeros)];
    const controls = seen.slice(1, 32).reduce((sum, count) => sum + count, 0);
    const usual = seen[9] + seen[10] + seen[12] + seen[13] + seen[27];
    if (encoding !== "utf-8") {
      return `is not the UTF-16 text that its byte-order mark says: byte ${at} starts no character. Save it as UTF-8.`;
    }
    if (kind !== undefined) {
      return `is ${kind[1]}, and no text. Save what it says as plain text in UTF-8, and train on that.`;
    }
    if (start[0] === 0xff && start[1] === 0xfe) {
      return `is UTF-32 text. Convert it: ${this.conversion("UTF-32")}.`;
    }
    if (many >= 4 && many > 0.2 * total && few < 0.02 * total) {
      const name = zeros[1] > zeros[0] ? "UTF-16LE" : "UTF-16BE";
      return `looks like UTF-16 without a byte-order mark. Convert it: ${this.conversion(name)}.`;
    }
    if (seen[0] > 0 || controls - usual > CONTROLS * total) {
      const which = seen[0] > 0 ? `holds a NUL (byte ${at})` : "is full of control characters";
      return (
        `${which}, so it is a binary file and no text. Save what it says as plain text in UTF-8, and ` +
        `train on that.`
      );
    }
    const known = NOT_CP1252.every((byte) => seen[byte] === 0);
    const name = known ? "CP1252" : "ISO-8859-1";
    return (
      `is not UTF-8 text: byte ${at} starts no character. If it is in an encoding of Western Europe, convert it: ` +
      `${this.conversion(name)}; for any other, put its name in the place of ${name}.`
    );
  }

  private conversion(name: string): string {
    const { path } = this;
    const command = `iconv -f ${name} -t UTF-8`;
    if (path === null) return `pipe it through ${command}`;
    const safe = path.startsWith("-") ? `./${path}` : path;
    return `${command} ${shellQuote(safe)} > ${shellQuote(`${safe}.utf8`)}`;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
