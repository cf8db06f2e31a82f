// Formats of plain text: a document a line, documents between blank lines or between separators of their own, or all
// of it one stream.

import { isLead } from "../../surrogates.ts";
import { Stripped } from "./stripped.ts";
import type { DocumentSink, FormatReader } from "./reader.ts";

/** One stream, files included; where one begins, a line does. */
export class StreamReader implements FormatReader {
  readonly format = "text";
  readonly skipped = [];
  private readonly sink: DocumentSink;
  /** Whether the last file ended within a line. */
  private open = false;
  private midLine = false;

  constructor(sink: DocumentSink) {
    this.sink = sink;
  }

  push(text: string): void {
    if (text === "") return;
    if (this.open) this.sink.push("\n");
    this.open = false;
    this.midLine = !text.endsWith("\n");
    this.sink.push(text);
  }

  beginFile(): void {
    this.open = this.midLine;
  }

  endFile(): void {}
}

/** A document a line. */
export class LinesReader implements FormatReader {
  readonly format = "lines";
  readonly skipped = [];
  private readonly document: Stripped;

  constructor(sink: DocumentSink) {
    this.document = new Stripped(sink);
  }

  push(text: string): void {
    text.split("\n").forEach((part, i) => {
      if (i > 0) this.document.end();
      this.document.push(part);
    });
  }

  beginFile(): void {}

  endFile(): void {
    this.document.end();
  }
}

/** Documents between blank lines. */
export class ParagraphsReader implements FormatReader {
  readonly format = "paragraphs";
  readonly skipped = [];
  private readonly document: Stripped;
  /** Whether the line has been blank so far. */
  private blank = true;

  constructor(sink: DocumentSink) {
    this.document = new Stripped(sink);
  }

  push(text: string): void {
    text.split("\n").forEach((part, i) => {
      if (i > 0) {
        if (this.blank) this.document.end();
        else this.document.push("\n");
        this.blank = true;
      }
      this.blank &&= part.trim() === "";
      this.document.push(part);
    });
  }

  beginFile(): void {}

  endFile(): void {
    this.document.end();
    this.blank = true;
  }
}

/** Documents between separators of their own. */
export class SeparatedReader implements FormatReader {
  readonly format = "paragraphs";
  readonly skipped = [];
  private readonly document: Stripped;
  private readonly separator: string;
  /** The last characters, which may be the first of a separator. */
  private held = "";

  /** @param separator \n and \t in it stand for a line's end and a tab, \\ for a backslash */
  constructor(sink: DocumentSink, separator: string) {
    this.document = new Stripped(sink);
    this.separator = unescaped(separator);
  }

  push(text: string): void {
    const { separator } = this;
    const parts = (this.held + text).split(separator);
    const last = parts.pop()!;
    for (const part of parts) {
      this.document.push(part);
      this.document.end();
    }
    let end = Math.max(0, last.length - separator.length + 1);
    if (isLead(last.charCodeAt(end - 1))) end--; // a character stays in one piece
    this.document.push(last.slice(0, end));
    this.held = last.slice(end);
  }

  beginFile(): void {}

  endFile(): void {
    this.document.push(this.held);
    this.document.end();
    this.held = "";
  }
}

function unescaped(text: string): string {
  const meant: Record<string, string> = { n: "\n", t: "\t", "\\": "\\" };
  return text.replace(/\\([nt\\])/g, (_, letter: string) => meant[letter]);
}
