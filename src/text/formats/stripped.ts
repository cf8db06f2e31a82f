// A document that comes in pieces, without the white space at its two ends.

import type { DocumentSink } from "./reader.ts";

export class Stripped {
  private readonly sink: DocumentSink;
  private begun = false;
  /** White space that belongs to the document if more than that follows. */
  private held: string[] = [];

  constructor(sink: DocumentSink) {
    this.sink = sink;
  }

  push(piece: string): void {
    const text = this.begun ? piece : piece.trimStart();
    if (text === "") return;
    this.begun = true;
    const body = text.trimEnd();
    if (body !== "") {
      for (const space of this.held) this.sink.push(space);
      this.held = [];
      this.sink.push(body);
    }
    if (body.length < text.length) this.held.push(text.slice(body.length));
  }

  end(): void {
    if (this.begun) this.sink.endDocument();
    this.begun = false;
    this.held = [];
  }
}
