// Rows of CSV as RFC 4180 has them, from text that comes in pieces: fields may be quoted, and then hold delimiters,
// line ends and doubled quotes.

/** In the order in which they win where a header has as many of one as of another. */
const delimiters = [",", ";", "\t", "|"] as const;

/** What stands between the fields of a header: of the delimiters the one that it has most of, outside quotes. */
export function delimiterOf(header: string): string {
  const bare = header.replaceAll(/"(?:[^"]|"")*"?/g, "");
  const counts = delimiters.map((delimiter) => bare.split(delimiter).length);
  return delimiters[counts.indexOf(Math.max(...counts))];
}

export interface Row {
  fields: string[];
  /** Where it begins. */
  line: number;
  /** What is wrong with it, as the rest of a sentence; null where nothing is. */
  problem: string | null;
}

export class CsvRows {
  private readonly take: (row: Row) => void;
  private readonly plain: RegExp;
  private readonly delimiter: string;
  private fields: string[] = [];
  private field: string[] = [];
  /** At a field's start, in one without quotes, in one with them, or behind a quote in such a one. */
  private state: "start" | "bare" | "quoted" | "quote" = "start";
  private problem: string | null = null;
  private line = 1;
  private first = 1;

  constructor(delimiter: string, take: (row: Row) => void) {
    this.delimiter = delimiter;
    this.take = take;
    const escaped = delimiter === "|" ? "\\|" : delimiter;
    this.plain = new RegExp(`[^\n${escaped}]+`, "y");
  }

  /** The line on which a quoted field began that has not ended; null where there is none. */
  get unclosed(): number | null {
    return this.state === "quoted" ? this.first : null;
  }

  push(text: string): void {
    for (let i = 0; i < text.length;) i = this.step(text, i);
  }

  /** The text ends, and with it the row. */
  end(): void {
    if (this.state !== "start" || this.fields.length > 0) this.endRow();
    this.line = this.first = 1;
  }

  private step(text: string, i: number): number {
    if (this.state === "quoted") {
      const quote = text.indexOf('"', i);
      const to = quote < 0 ? text.length : quote;
      const part = text.slice(i, to);
      this.field.push(part);
      for (let at = part.indexOf("\n"); at >= 0; at = part.indexOf("\n", at + 1)) this.line++;
      if (quote < 0) return to;
      this.state = "quote";
      return to + 1;
    }
    const char = text[i];
    if (char === '"' && this.state !== "bare") {
      if (this.state === "quote") this.field.push('"');
      this.state = "quoted";
      return i + 1;
    }
    if (char === this.delimiter) {
      this.endField();
      return i + 1;
    }
    if (char === "\n") {
      this.line++;
      this.endRow();
      return i + 1;
    }
    this.plain.lastIndex = i;
    const [part] = this.plain.exec(text)!;
    if (this.state === "quote" && part.trim() !== "") {
      this.problem ??= `has ${JSON.stringify(part.slice(0, 20))} behind the quote that ends a field`;
    } else if (this.state !== "quote") {
      this.field.push(part);
      this.state = "bare";
    }
    return i + part.length;
  }

  private endField(): void {
    this.fields.push(this.field.join(""));
    this.field = [];
    this.state = "start";
  }

  private endRow(): void {
    this.endField();
    const { fields, first: line, problem } = this;
    this.fields = [];
    this.problem = null;
    this.first = this.line;
    if (fields.length > 1 || fields[0] !== "") this.take({ fields, line, problem });
  }
}
