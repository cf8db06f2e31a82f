// What a format is to whoever reads a text: characters go in, piece by piece, and documents come out.

import type { Config } from "../../config.ts";
import type { Conversation } from "../conversation.ts";

/** Takes documents, each in pieces; no piece begins or ends within a character. */
export interface DocumentSink {
  /** Characters of the document that is open, or that begins with them. */
  push(text: string): void;
  /** The document ends; one that had no characters is none. */
  endDocument(): void;
  /** A whole document that is a conversation. */
  add(conversation: Conversation): void;
}

export interface FormatReader {
  /** What it reads; of records only the first of them tells. */
  readonly format: Config["format"];
  /** @param name for the messages */
  beginFile(name: string): void;
  /** Characters of the file that is open, with LF at their lines' ends. */
  push(text: string): void;
  endFile(): void;
  /** What was left out, each with its number: "3 bad lines". */
  readonly skipped: readonly string[];
}

/** How a text is to be read. */
export type Reading = Pick<Config, "field" | "separator" | "skip_bad_lines">;
