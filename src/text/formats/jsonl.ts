// JSON lines: texts, or conversations, as the first good line has it.

import type { Config } from "../../config.ts";
import { count } from "../../count.ts";
import { DataError } from "../../errors.ts";
import type { Conversation } from "../conversation.ts";
import { BadLines } from "./bad_lines.ts";
import type { DocumentSink, FormatReader, Reading } from "./reader.ts";
import { neededRecords, readRecord } from "./records.ts";

/** Characters of a line at most: it has to be one string. */
const MOST = 2 ** 28;

/** The key of a text where nothing else is said. */
export const USUAL_FIELD = "text";

export class JsonLinesReader implements FormatReader {
  private readonly sink: DocumentSink;
  private readonly field: string;
  private readonly bad: BadLines;
  /** Whether its records are conversations; null where the first of them decides. */
  private talks: boolean | null;
  private file = "";
  private line = 1;
  private pending: string[] = [];
  private length = 0;

  /**
   * @param talks whether its records are conversations; null where the first of them decides
   */
  constructor(sink: DocumentSink, { field, skip_bad_lines }: Reading, talks: boolean | null) {
    this.sink = sink;
    this.field = field || USUAL_FIELD;
    this.talks = talks;
    this.bad = new BadLines(skip_bad_lines, neededRecords(this.field));
  }

  get format(): Config["format"] {
    return this.talks ? "chat" : "jsonl";
  }

  get skipped(): string[] {
    return this.bad.skipped;
  }

  push(text: string): void {
    let from = 0;
    for (let to = text.indexOf("\n"); to >= 0; to = text.indexOf("\n", from)) {
      this.extend(text.slice(from, to));
      this.endLine();
      from = to + 1;
    }
    this.extend(text.slice(from));
  }

  beginFile(name: string): void {
    this.file = name;
    this.line = 1;
  }

  endFile(): void {
    this.endLine();
  }

  private extend(part: string): void {
    this.length += part.length;
    if (this.length > MOST) {
      throw new DataError(
        `Line ${this.line} of ${this.file} has more than ${count(MOST)} characters, which is no record ` +
          `of jsonl. Make several lines of it, or read the file with format text.`,
      );
    }
    this.pending.push(part);
  }

  private endLine(): void {
    const line = this.pending.join("").trim();
    this.pending = [];
    this.length = 0;
    if (line !== "") this.read(line);
    this.line++;
  }

  private read(line: string): void {
    const found = readRecord(line, this.field);
    if ("problem" in found) return this.bad.add(this.file, this.line, found.problem);
    const isConversation = "conversation" in found;
    this.talks ??= isConversation;
    if (isConversation !== this.talks) {
      const [is, others] = isConversation ? ["conversation", "texts"] : ["text", "conversations"];
      return this.bad.add(this.file, this.line, `is a ${is}, where ${others} are read`);
    }
    if ("conversation" in found) {
      this.sink.add(found.conversation.map(withLineFeeds));
    } else if (found.text.trim() === "") {
      this.bad.empty++;
    } else {
      this.sink.push(found.text.replace(/\r\n?/g, "\n"));
      this.sink.endDocument();
    }
  }
}

function withLineFeeds({ role, content }: Conversation[number]): Conversation[number] {
  return { role, content: content.replace(/\r\n?/g, "\n") };
}
