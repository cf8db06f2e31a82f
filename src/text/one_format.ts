// Whether several files are in one format, as each of them would be read alone: records of one kind are read as records,
// and plain texts together as one text, but neither as the other.

import type { Config } from "../config.ts";
import { DataError } from "../errors.ts";
import { formatByNames, HEAD, recordFormat } from "./detect.ts";

/** What a file is to this; which of both records of JSON are, their reader tells. */
const kinds: Record<Config["format"], string> = {
  jsonl: "records in JSON",
  chat: "records in JSON",
  csv: "a table",
  lines: "plain text",
  paragraphs: "plain text",
  text: "plain text",
};

export class OneFormat {
  private readonly field: string;
  /** The first file that is not empty, and what it is. */
  private first: { source: string; kind: string } | null = null;
  private file: { source: string; name: string; head: string } | null = null;

  /** @param field the name of what holds the documents of records, where one was given */
  constructor(field: string) {
    this.field = field;
  }

  /** @param name by which its format is told */
  beginFile(source: string, name: string): void {
    this.file = { source, name, head: "" };
  }

  /** @throws DataError if the file is not in the format of those before it */
  push(text: string): void {
    const { file } = this;
    if (file === null) return;
    file.head += text.slice(0, HEAD - file.head.length);
    if (file.head.length >= HEAD) this.endFile();
  }

  /** @throws DataError if the file is not in the format of those before it */
  endFile(): void {
    const { file, first, field } = this;
    if (file === null) return;
    this.file = null;
    const { source, name, head } = file;
    const format = recordFormat(head, formatByNames([name]), field);
    if (format === null) return; // it is empty
    const kind = kinds[format ?? "text"];
    this.first ??= { source, kind };
    if (first === null || first.kind === kind) return;
    throw new DataError(
      `${first.source} holds ${first.kind} and ${source} ${kind}, which are not read together. Train on them in ` +
        `separate runs, bring them into one format, or say with format (--format) how all of them are read: as lines or ` +
        `text each is taken as it stands.`,
    );
  }
}
