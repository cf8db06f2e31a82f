// Text to a corpus: from files' bytes as they come, from a string, or from documents.

import { isChat, isStream, mayBe } from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import { ConfigError, DataError } from "../errors.ts";
import { show } from "../strict_json.ts";
import { wholeCharacters } from "../surrogates.ts";
import type { Conversation } from "./conversation.ts";
import { Collector, type CorpusPlace } from "./collector.ts";
import { Corpus } from "./corpus.ts";
import { TextBytes } from "./decode.ts";
import { detectFormat, formatByNames, HEAD } from "./detect.ts";
import { CsvReader } from "./formats/csv.ts";
import { JsonLinesReader, USUAL_FIELD } from "./formats/jsonl.ts";
import { LinesReader, ParagraphsReader, SeparatedReader, StreamReader } from "./formats/plain.ts";
import type { DocumentSink, FormatReader, Reading } from "./formats/reader.ts";
import { readRecord } from "./formats/records.ts";
import { OneFormat } from "./one_format.ts";

type Format = ConfigChoice["format"];

/** How a text is read: its format, and what else there is to say. */
export type How = Format | ({ format: Format } & Partial<Reading>);

/** Bytes that become a string at a time; no string is as long as some files. */
const PIECE = 2 ** 20;

/** What a training may be given as its text: documents, a text as a file has it, or what was read already. */
export type TextSource = readonly string[] | string | Corpus;

/** A file, or what is like one. */
export interface TextFile {
  /** Where it comes from, for the messages. */
  source: string;
  /** Null where it has none. */
  path: string | null;
  /** By which its format is told; its source where absent. */
  name?: string;
  /** What tells it from any other, and from itself before it was changed; absent where nothing does. */
  identity?: string;
  pieces: AsyncIterable<Uint8Array>;
}

/**
 * @throws ConfigError if it was read in another format
 * @throws DataError if there is nothing to train on
 */
export function corpusOf(documents: TextSource, how: How): Corpus {
  if (typeof documents === "string") return fromText(documents, how);
  const { format } = full(how);
  if (!(documents instanceof Corpus)) return fromDocuments(documents, how);
  if (format === "auto" || mayBe(format, documents.format)) return documents;
  throw new ConfigError(
    "format",
    `format is ${format}, but the text was read in format ${documents.format}; read it in the same one.`,
  );
}

/**
 * Of lines the documents are the lines, stripped, without the empty ones; of a text all of it is one, with LF
 * where a line ended with CR or CRLF.
 * @param source where the text came from, for the messages
 * @throws DataError if there is nothing to train on, or a record cannot be read
 * @throws ConfigError if it is a table without the column that holds the documents
 */
export function fromText(text: string, how: How, source = "The text"): Corpus {
  const builder = new CorpusBuilder(how, source, [source], text.length);
  builder.beginFile(source);
  for (let at = 0; at < text.length;) {
    const end = wholeCharacters(text, at + PIECE);
    builder.push(text.slice(at, end));
    at = end;
  }
  builder.endFile();
  return builder.end();
}

/** Documents as they are, those of a chat in JSON; to format text they are one stream, with nothing in between. */
function fromDocuments(documents: readonly string[], how: How): Corpus {
  const { format } = full(how);
  if (documents.length === 0) {
    throw new DataError(`There are no documents; at least one is needed to train on.`);
  }
  const whole = format === "auto" ? documents.length === 1 : isStream(format);
  if (whole) return fromText(documents.join(""), how);
  const collector = new Collector("The text");
  for (const [d, document] of documents.entries()) {
    if (format !== "auto" && isChat(format)) collector.add(conversationIn(document, d));
    else collector.addText(document);
  }
  return collector.corpus(format === "auto" ? "lines" : format);
}

/** @throws DataError if it is none */
function conversationIn(document: string, index: number): Conversation {
  const found = readRecord(document, USUAL_FIELD);
  if ("conversation" in found) return found.conversation;
  const problem = "problem" in found ? found.problem : `is a text and no conversation`;
  throw new DataError(
    `Document ${index + 1}, ${show(document)}, ${problem}. With format chat each is a conversation in JSON, a list of ` +
      `{"role": "user" or "assistant", "content": "…"}.`,
  );
}

/**
 * The corpus of some files, one after the other.
 * @param from where all of it comes from, for the messages; the names that tell a format, those of the files where
 *   absent; bytes of all of them, if that is known; what was left out before, each with its number
 * @param place where it is put; in memory where absent
 * @throws DataError if the bytes are no text, a record cannot be read, there is nothing to train on, or the format is
 *   left open and the files are not in the same one
 * @throws ConfigError if it is a table without the column that holds the documents
 */
export async function readFiles(
  files: Iterable<TextFile> | AsyncIterable<TextFile>,
  how: How,
  from: {
    source: string;
    names?: readonly string[];
    bytes?: number;
    skipped?: readonly string[];
  },
  place?: CorpusPlace,
): Promise<Corpus> {
  const { source, names = [source], bytes } = from;
  const builder = new CorpusBuilder(how, source, names, bytes, place);
  for await (const { source, path, name, pieces } of files) {
    const decoding = new TextBytes(source, path);
    builder.beginFile(source, name);
    for await (const bytes of pieces) {
      for (let at = 0; at < bytes.length; at += PIECE) {
        builder.push(decoding.push(bytes.subarray(at, at + PIECE)));
      }
    }
    builder.push(decoding.end());
    builder.endFile();
  }
  return builder.end(from.skipped);
}

function full(how: How): { format: Format } & Reading {
  const given = typeof how === "string" ? { format: how } : how;
  return { field: "", separator: "", skip_bad_lines: false, ...given };
}

type NewReader = (sink: DocumentSink, reading: Reading) => FormatReader;

const readers: Record<Config["format"], NewReader> = {
  text: (sink) => new StreamReader(sink),
  lines: (sink) => new LinesReader(sink),
  paragraphs: (sink, { separator }) =>
    separator === "" ? new ParagraphsReader(sink) : new SeparatedReader(sink, separator),
  csv: (sink, reading) => new CsvReader(sink, reading),
  jsonl: (sink, reading) => new JsonLinesReader(sink, reading, null),
  chat: (sink, reading) => new JsonLinesReader(sink, reading, true),
};

/** Takes files piece by piece; what comes before the format is known waits for it. */
class CorpusBuilder {
  private readonly collector: Collector;
  private readonly reading: { format: Format } & Reading;
  private readonly names: readonly string[];
  private reader: FormatReader | null = null;
  private reason: string | null = null;
  private readonly files: OneFormat | null;
  private waiting: ((reader: FormatReader) => void)[] = [];
  private head = "";
  /** A CR that may be the first half of a CRLF. */
  private held = "";

  /**
   * @param names of all files
   * @param expected characters, if that is known
   * @param place where they are put; in memory where absent
   */
  constructor(
    how: How,
    source: string,
    names: readonly string[],
    expected?: number,
    place?: CorpusPlace,
  ) {
    this.reading = full(how);
    this.collector = new Collector(source, expected, place);
    this.names = names;
    const { format, separator } = this.reading;
    const open = format === "auto" && separator === "";
    this.files = open && names.length > 1 ? new OneFormat(this.reading.field) : null;
    if (!open) this.open(format === "auto" ? "paragraphs" : format);
  }

  /** @param name by which its format is told */
  beginFile(source: string, name = source): void {
    this.files?.beginFile(source, name);
    this.tell((reader) => reader.beginFile(source));
    if (this.head !== "" && !this.head.endsWith("\n")) this.head += "\n";
  }

  push(piece: string): void {
    let text = this.held + piece;
    this.held = text.endsWith("\r") ? "\r" : "";
    if (this.held) text = text.slice(0, -1);
    this.write(text);
  }

  endFile(): void {
    this.write(this.held);
    this.held = "";
    this.files?.endFile();
    this.tell((reader) => reader.endFile());
  }

  /**
   * @param skipped what was left out before
   * @throws DataError if there is nothing to train on
   */
  end(skipped: readonly string[] = []): Corpus {
    const reader = this.reader ?? this.detect();
    const asked = this.reading.format;
    const turned = asked !== "auto" && asked !== reader.format;
    const reason = turned ? "its records are conversations" : this.reason;
    const format_reason = reason === null ? null : `${reader.format}: ${reason}`;
    return this.collector.corpus(reader.format, format_reason, [...skipped, ...reader.skipped]);
  }

  private write(text: string): void {
    const clean = text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
    if (clean === "") return;
    this.files?.push(clean);
    this.tell((reader) => reader.push(clean));
    if (this.reader !== null) return;
    this.head += clean.slice(0, HEAD - this.head.length);
    if (this.head.length >= HEAD) this.detect();
  }

  private tell(what: (reader: FormatReader) => void): void {
    if (this.reader === null) this.waiting.push(what);
    else what(this.reader);
  }

  private detect(): FormatReader {
    const { head, reading, names } = this;
    const { format, why } = detectFormat(head, formatByNames(names), reading.field);
    this.reason = why;
    return this.open(format);
  }

  private open(format: Config["format"]): FormatReader {
    this.reader = readers[format](this.collector, this.reading);
    for (const what of this.waiting) what(this.reader);
    this.waiting = [];
    return this.reader;
  }
}
