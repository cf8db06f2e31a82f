// CSV: one column of a table, a document each row.

import { plural } from "../../count.ts";
import { ConfigError, DataError } from "../../errors.ts";
import { show } from "../../strict_json.ts";
import { nearest } from "../../nearest.ts";
import { BadLines } from "./bad_lines.ts";
import { CsvRows, delimiterOf, type Row } from "./csv_rows.ts";
import { USUAL_FIELD } from "./jsonl.ts";
import type { DocumentSink, FormatReader, Reading } from "./reader.ts";

/** Characters of a header at most. */
const MOST_HEADER = 2 ** 16;

export class CsvReader implements FormatReader {
  readonly format = "csv";
  private readonly sink: DocumentSink;
  private readonly field: string;
  private readonly bad: BadLines;
  private file = "";
  /** The beginning of a file, as long as its header is not whole. */
  private head: string | null = "";
  private rows: CsvRows | null = null;
  private columns: string[] | null = null;
  private column = 0;

  constructor(sink: DocumentSink, { field, skip_bad_lines }: Reading) {
    this.sink = sink;
    this.field = field;
    this.bad = new BadLines(skip_bad_lines, "A row of csv has a field for each column.");
  }

  get skipped(): string[] {
    return this.bad.skipped;
  }

  push(text: string): void {
    if (this.head === null) return this.rows!.push(text);
    this.head += text;
    if (withoutBlank(this.head).includes("\n") || this.head.length > MOST_HEADER) this.open();
  }

  beginFile(name: string): void {
    this.file = name;
    this.head = "";
    this.columns = null;
  }

  endFile(): void {
    if (this.head !== null) this.open();
    const open = this.rows!.unclosed;
    if (open !== null) {
      throw new DataError(
        `The row on line ${open} of ${this.file} has a quote that never closes, so that all behind it is one field. ` +
          `Close it, or double it if it is a quote of the text.`,
      );
    }
    this.rows!.end();
  }

  private open(): void {
    const head = this.head!;
    this.head = null;
    this.rows = new CsvRows(delimiterOf(firstLine(withoutBlank(head))), (row) => this.take(row));
    this.rows.push(head);
  }

  private take({ fields, line, problem }: Row): void {
    if (this.columns === null) {
      this.columns = fields;
      this.column = columnIn(fields, this.field, this.file);
      return;
    }
    const [wanted, got] = [this.columns.length, fields.length];
    if (got !== wanted) problem ??= `has ${plural(got, "field")}, and the header ${wanted}`;
    if (problem !== null) return this.bad.add(this.file, line, problem);
    const text = fields[this.column].replace(/\r\n?/g, "\n");
    if (text.trim() === "") {
      this.bad.empty++;
      return;
    }
    this.sink.push(text);
    this.sink.endDocument();
  }
}

function withoutBlank(text: string): string {
  return text.replace(/^\n+/, "");
}

function firstLine(text: string): string {
  const [line] = text.split("\n", 1);
  return line;
}

/** The number of the column of a table that holds the documents, or how many columns are called so. */
export function documentColumn(head: string, field: string): Column {
  const header = firstLine(withoutBlank(head));
  let columns: string[] = [];
  const rows = new CsvRows(delimiterOf(header), ({ fields }) => (columns = fields));
  rows.push(header);
  rows.end();
  return findColumn(columns, field);
}

type Column = number | "none" | "several";

function findColumn(columns: readonly string[], field: string): Column {
  if (field === "" && columns.length === 1) return 0;
  const wanted = field || USUAL_FIELD;
  const plain = (name: string) => name.trim().toLowerCase();
  let several = false;
  for (const same of [
    (name: string) => name === wanted,
    (name: string) => plain(name) === plain(wanted),
  ]) {
    const found = columns.flatMap((name, i) => (same(name) ? [i] : []));
    if (found.length === 1) return found[0];
    several ||= found.length > 1;
  }
  return several ? "several" : "none";
}

/** @throws ConfigError if there is no such column, or none was named and none is called text */
function columnIn(columns: readonly string[], field: string, file: string): number {
  const found = findColumn(columns, field);
  if (typeof found === "number") return found;
  const names = columns.map((name) => show(name));
  const listed = names.slice(0, 12).join(", ") + (names.length > 12 ? ", …" : "");
  throw new ConfigError("field", problemOf(found, columns, field, file, listed));
}

function problemOf(
  found: "none" | "several",
  columns: readonly string[],
  field: string,
  file: string,
  listed: string,
): string {
  if (found === "several") {
    const which = field === "" ? "" : `field is ${show(field)}, but `;
    return (
      `${which}${file} has several columns that are called ${show(field || USUAL_FIELD)}, among ${listed}; rename all but ` +
      `one of them${field === "" ? ", or say with field which other one holds the documents" : ""}.`
    );
  }
  if (field === "") {
    return (
      `${file} has the columns ${listed}, and none of them is called ${USUAL_FIELD}; say with field which one holds the ` +
      `documents.`
    );
  }
  const near = nearest(field, columns);
  const meant = near === undefined ? "" : ` Did you mean ${show(near)}?`;
  return `field is ${show(field)}, but that is not the name of a column of ${file}; it has ${listed}.${meant}`;
}
