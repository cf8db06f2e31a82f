// The documents of a run as the one text that is kept of them, and back.

import type { Config } from "../src/config.ts";

interface Way {
  join(documents: readonly string[]): string;
  split(text: string): string[];
}

const whole: Way = { join: (documents) => documents.join(""), split: (text) => [text] };
const lines: Way = { join: (documents) => documents.join("\n"), split: (text) => text.split("\n") };
/** A line each too, however many a document has. */
const escaped: Way = {
  join: (documents) => documents.map((document) => JSON.stringify(document)).join("\n"),
  split: (text) => text.split("\n").map((line) => JSON.parse(line)),
};

const ways: Record<Config["format"], Way> = {
  lines,
  paragraphs: escaped,
  text: whole,
  jsonl: escaped,
  csv: escaped,
  chat: escaped,
};

export function joinDocuments(documents: readonly string[], format: Config["format"]): string {
  return ways[format].join(documents);
}

/** @throws SyntaxError if the text is not one that joinDocuments() made */
export function splitDocuments(text: string, format: Config["format"]): string[] {
  return ways[format].split(text);
}
