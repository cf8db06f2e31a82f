// Text to a corpus: from a file's bytes as they come, from a string, or from documents.

import { isStream } from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import { ConfigError, DataError } from "../errors.ts";
import { type Characters, Corpus } from "./corpus.ts";
import { TextBytes } from "./decode.ts";
import { detectFormat, HEAD } from "./detect.ts";
import { IdWriter } from "./ids.ts";

type Format = ConfigChoice["format"];

/** Bytes that become a string at a time; no string is as long as some files. */
const PIECE = 2 ** 20;

/** What a training may be given as its text: documents, a text as a file has it, or what was read already. */
export type TextSource = readonly string[] | string | Corpus;

/**
 * @throws ConfigError if it was read in another format
 * @throws DataError if there is nothing to train on
 */
export function corpusOf(documents: TextSource, format: Format): Corpus {
  if (typeof documents === "string") return fromText(documents, format);
  if (!(documents instanceof Corpus)) return fromDocuments(documents, format);
  if (format === "auto" || format === documents.format) return documents;
  throw new ConfigError(
    "format",
    `format is ${format}, but the text was read in format ${documents.format}; read it in the same one.`,
  );
}

/**
 * Of lines the documents are the lines, stripped, without the empty ones; of a text all of it is one, with LF
 * where a line ended with CR or CRLF.
 * @param source where the text came from, for the messages
 * @throws DataError if there is nothing to train on
 */
export function fromText(text: string, format: Format, source = "The text"): Corpus {
  const builder = new CorpusBuilder(source, text.length);
  builder.push(text);
  return builder.end(format);
}

/** Documents as they are; to format text they are one stream, with nothing in between. */
function fromDocuments(documents: readonly string[], format: Format): Corpus {
  if (documents.length === 0) {
    throw new DataError(`There are no documents; at least one is needed to train on.`);
  }
  const whole = format === "auto" ? documents.length === 1 : isStream(format);
  if (whole) return fromText(documents.join(""), format);
  const writer = new IdWriter("The text");
  const starts = new Uint32Array(documents.length + 1);
  documents.forEach((document, d) => {
    writer.push(document);
    starts[d + 1] = writer.length;
  });
  return new Corpus({ ids: writer.end(), chars: writer.chars }, starts, "lines");
}

/**
 * The corpus of a file.
 * @param from where the bytes come from, for the messages; its path, null where it has none
 * @throws DataError if the bytes are no text, or hold nothing to train on
 */
export async function readCorpus(
  pieces: AsyncIterable<Uint8Array>,
  format: Format,
  from: { source: string; path: string | null; bytes?: number },
): Promise<Corpus> {
  const decoding = new TextBytes(from.source, from.path);
  const builder = new CorpusBuilder(from.source, from.bytes);
  for await (const bytes of pieces) {
    for (let at = 0; at < bytes.length; at += PIECE) {
      builder.push(decoding.push(bytes.subarray(at, at + PIECE)));
    }
  }
  builder.push(decoding.end());
  return builder.end(format);
}

/** Takes a text piece by piece. */
class CorpusBuilder {
  private readonly writer: IdWriter;
  private readonly source: string;
  private head = "";
  /** A CR that may be the first half of a CRLF. */
  private held = "";

  /** @param expected characters, if that is known */
  constructor(source: string, expected?: number) {
    this.source = source;
    this.writer = new IdWriter(source, expected);
  }

  push(piece: string): void {
    let text = this.held + piece;
    this.held = text.endsWith("\r") ? "\r" : "";
    if (this.held) text = text.slice(0, -1);
    this.write(text);
  }

  private write(text: string): void {
    const clean = text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
    if (this.head.length < HEAD) this.head += clean.slice(0, HEAD - this.head.length);
    this.writer.push(clean);
  }

  /** @throws DataError if there is nothing to train on */
  end(format: Format): Corpus {
    this.write(this.held);
    const { source, writer } = this;
    const characters = { ids: writer.end(), chars: writer.chars };
    if (format !== "auto") return corpus(characters, format, null, source);
    const { format: detected, why } = detectFormat(this.head);
    return corpus(characters, detected, `${detected}: ${why}`, source);
  }
}

function corpus(
  characters: Characters,
  format: Config["format"],
  reason: string | null,
  source: string,
): Corpus {
  const { ids, chars } = characters;
  if (!isStream(format)) {
    const { starts, length } = splitLines(characters, source);
    return new Corpus({ ids: ids.subarray(0, length), chars }, starts, format, reason);
  }
  if (ids.length === 0) throw new DataError(`${source} is empty; a text to train on is needed.`);
  return new Corpus(characters, Uint32Array.of(0, ids.length), format, reason);
}

/** Moves the lines together, without what parts them. */
function splitLines({ ids, chars }: Characters, source: string) {
  const newline = chars.indexOf("\n");
  const space = Uint8Array.from(chars, (char) => (char.trim() === "" ? 1 : 0));
  let starts = new Uint32Array(1024);
  let docs = 0;
  let length = 0;
  for (let from = 0, i = 0; i <= ids.length; i++) {
    if (i < ids.length && ids[i] !== newline) continue;
    let to = i;
    while (from < to && space[ids[from]]) from++;
    while (from < to && space[ids[to - 1]]) to--;
    if (from < to) {
      ids.copyWithin(length, from, to);
      length += to - from;
      if (++docs === starts.length) {
        const more = new Uint32Array(2 * docs);
        more.set(starts);
        starts = more;
      }
      starts[docs] = length;
    }
    from = i + 1;
  }
  if (docs === 0) {
    throw new DataError(
      `${source} holds no documents: it is empty or only white space. One document a line is needed.`,
    );
  }
  return { starts: starts.slice(0, docs + 1), length };
}
