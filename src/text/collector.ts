// Takes documents as a format finds them, and makes a corpus of them.

import { isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import { DataError } from "../errors.ts";
import type { Conversation } from "./conversation.ts";
import { Corpus } from "./corpus.ts";
import type { DocumentSink } from "./formats/reader.ts";
import { CharacterWriter } from "./character_writer.ts";
import type { IdStore, TokenCache } from "./stored_ids.ts";

/** Where a text is put that is too large for memory. */
export interface CorpusPlace extends TokenCache {
  characters: IdStore;
}

export class Collector implements DocumentSink {
  private readonly source: string;
  private readonly writer: CharacterWriter;
  private readonly place: CorpusPlace | undefined;
  private starts = new Uint32Array(1024);
  private num_docs = 0;
  private readonly conversations: Conversation[] = [];

  /**
   * @param source where the text comes from, for the messages
   * @param expected characters, if that is known
   * @param place where they are put; in memory where absent
   */
  constructor(source: string, expected?: number, place?: CorpusPlace) {
    this.source = source;
    this.writer = new CharacterWriter(source, expected, place?.characters);
    this.place = place;
  }

  push(text: string): void {
    this.writer.push(text);
  }

  endDocument(): void {
    if (this.writer.length > this.starts[this.num_docs]) this.close();
  }

  /** A document as it is, even one without characters. */
  addText(document: string): void {
    this.push(document);
    this.close();
  }

  add(conversation: Conversation): void {
    this.conversations.push(conversation);
    for (const { content } of conversation) this.push(content);
    this.close();
  }

  private close(): void {
    if (++this.num_docs === this.starts.length) {
      const more = new Uint32Array(2 * this.num_docs);
      more.set(this.starts);
      this.starts = more;
    }
    this.starts[this.num_docs] = this.writer.length;
  }

  /**
   * @param skipped what was left out
   * @throws DataError if there is nothing to train on
   */
  corpus(
    format: Config["format"],
    format_reason: string | null = null,
    skipped: readonly string[] = [],
  ): Corpus {
    if (isStream(format)) this.endDocument();
    if (this.num_docs === 0) throw this.nothing(format, skipped);
    const { writer, conversations, num_docs } = this;
    const characters = { ids: writer.end(), chars: writer.chars };
    const starts = this.starts.slice(0, num_docs + 1);
    return new Corpus(characters, starts, format, {
      format_reason,
      skipped,
      conversations,
      cache: this.place,
    });
  }

  private nothing(format: Config["format"], skipped: readonly string[]): DataError {
    const { source } = this;
    if (isStream(format)) return new DataError(`${source} is empty; a text to train on is needed.`);
    const why =
      skipped.length > 0
        ? `what was in it is left out: ${skipped.join(", ")}`
        : "it is empty or only white space";
    return new DataError(`${source} holds no documents: ${why}. ${neededOf[format]} is needed.`);
  }
}

const neededOf: Record<Config["format"], string> = {
  lines: "One document a line",
  paragraphs: "A document between separators",
  text: "A text",
  jsonl: "One record in JSON a line",
  csv: "A header and one row a document",
  chat: "One conversation in JSON a line",
};
