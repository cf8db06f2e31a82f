// A line for each request: for people, or as JSON. What clients send to the model is in it only where that is asked for.

import type { Output } from "../run.ts";
import { printable } from "../samples.ts";
import { plural } from "../../src/count.ts";
import type { Exchange } from "./exchange.ts";

/** Characters of a path, and of what was sent to the model, at most. */
const LONGEST_PATH = 200;
const LONGEST_PROMPT = 10_000;

export class AccessLog {
  private readonly out: Output;
  private readonly options: { json: boolean; prompts: boolean };

  constructor(out: Output, options: { json: boolean; prompts: boolean }) {
    this.out = out;
    this.options = options;
  }

  /** @param status what was sent; 0 if nothing was */
  request(exchange: Exchange, status: number): void {
    const { id, method, route, client, waited, first_token, tokens, ended } = exchange;
    const { json, prompts } = this.options;
    const path = cut(exchange.path.replace(/\?.*$/s, ""), LONGEST_PATH);
    const ms = rounded(performance.now() - exchange.at);
    const prompt =
      prompts && exchange.prompt !== undefined
        ? cut(JSON.stringify(exchange.prompt), LONGEST_PROMPT)
        : undefined;
    const time = new Date().toISOString();
    if (json) {
      const about = { waited_ms: rounded(waited), first_token_ms: rounded(first_token), tokens };
      this.line(
        JSON.stringify({
          type: "request",
          time,
          id,
          client,
          method,
          path,
          route,
          status,
          ms,
          ...about,
          ended,
          prompt,
        }),
      );
      return;
    }
    const parts = [
      time.slice(11, 19),
      `${method} ${path}`,
      status === 0 ? "-" : String(status),
      `${ms} ms`,
      ...(tokens === undefined ? [] : [plural(tokens, "token")]),
      ...(ended === undefined ? [] : [ended]),
      ...(prompt === undefined ? [] : [prompt]),
    ];
    this.line(printable(parts.join("  ")).replaceAll("\n", "\\n"));
  }

  /** Of what is no request. */
  event(type: string, sentence: string, details: object = {}): void {
    if (this.options.json) this.line(JSON.stringify({ type, ...details }));
    else this.line(sentence);
  }

  private line(text: string): void {
    this.out.write(`${text}\n`);
  }
}

const rounded = <T extends number | undefined>(ms: T) =>
  (ms === undefined ? undefined : Math.round(ms * 10) / 10) as T;

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
