// Bytes of a text file to documents: one a line, stripped, empty ones dropped; or all of it, as it is.

import { isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import { DataError } from "../errors.ts";

/**
 * Decodes UTF-8 strictly (a leading byte-order mark is dropped).
 * @param source where the bytes came from, for the messages
 * @throws DataError if the bytes are not UTF-8 text
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new DataError(
      `${source} is not UTF-8 text: byte ${firstInvalidByte(bytes)} starts no character. ` +
        `Save it as UTF-8 (iconv -t utf-8 converts) and try again.`,
    );
  }
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    throw new DataError(
      `${source} holds a NUL character (character ${nul}), so it looks like a binary or UTF-16 file; ` +
        `plain UTF-8 text is needed.`,
    );
  }
  return text;
}

/** Offset of the first byte that belongs to no character, found by halving. */
function firstInvalidByte(bytes: Uint8Array): number {
  const decodes = (end: number, stream: boolean) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream });
      return true;
    } catch {
      return false;
    }
  };
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    // stream: a character cut off at the end is not yet an error
    if (decodes(middle, true)) valid = middle;
    else invalid = middle;
  }
  while (!decodes(valid, false)) valid--; // back to where the cut-off character starts
  return valid;
}

/**
 * The documents of a text: its lines, stripped, without the empty ones.
 * @throws DataError if there is none
 */
export function splitDocuments(text: string, source: string): string[] {
  const documents = text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter((line) => line.length > 0);
  if (documents.length === 0) {
    throw new DataError(
      `${source} holds no documents: it is empty or only white space. One document a line is needed.`,
    );
  }
  return documents;
}

/**
 * What is trained on, by format: the documents of a text, or the text itself as the only one.
 * @throws DataError if there is nothing
 */
export function documentsOf(text: string, source: string, format: Config["format"]): string[] {
  if (!isStream(format)) return splitDocuments(text, source);
  if (text === "") throw new DataError(`${source} is empty; a text to train on is needed.`);
  return [text];
}
