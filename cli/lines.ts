// The lines that somebody writes to a command: at a terminal, with keys to edit them and to get earlier ones back, or
// into a pipe.

import { createInterface } from "node:readline";
import { count } from "../src/count.ts";
import { UsageError } from "./given.ts";
import type { Io, Output } from "./run.ts";

/** Characters of a line at most. */
const MOST_CHARS = 2 ** 20;

export interface Lines {
  /** The next one, without its end; null where there are no more: Ctrl-D, at a terminal Ctrl-C too. */
  next(): Promise<string | null>;
  /** No more are read: who waits for one gets null. */
  close(): void;
}

/** @param prompt what a terminal shows where a line is waited for, on `output` */
export function linesOf(stdin: Io["stdin"], prompt: string, output: Output): Lines {
  return stdin.isTTY ? new TerminalLines(stdin, prompt, output) : new PipeLines(stdin);
}

/** While none is waited for, the terminal is left as it is, so that Ctrl-C is a signal. */
class TerminalLines implements Lines {
  private readonly stdin: Io["stdin"];
  private readonly prompt: string;
  private readonly output: Output;
  private history: string[] = [];
  /** Those that came with the last one, as they do where several are pasted, and the beginning of one more. */
  private readonly waiting: string[] = [];
  private begun = "";
  private stop: (() => void) | undefined;

  constructor(stdin: Io["stdin"], prompt: string, output: Output) {
    this.stdin = stdin;
    this.prompt = prompt;
    this.output = output;
  }

  next(): Promise<string | null> {
    const { history, prompt, waiting } = this;
    if (waiting.length > 0) return Promise.resolve(waiting.shift()!);
    const reader = createInterface({
      input: this.stdin as unknown as NodeJS.ReadableStream,
      output: this.output as unknown as NodeJS.WritableStream,
      terminal: true,
      history,
      historySize: 1000,
      prompt,
    });
    const close = () => reader.close();
    this.stop = close;
    reader.on("history", (lines: string[]) => (this.history = [...lines]));
    reader.on("line", (line) => {
      waiting.push(line);
      if (waiting.length === 1) queueMicrotask(close); // after those that came with it
    });
    reader.on("SIGINT", close);
    reader.prompt();
    if (this.begun !== "") reader.write(this.begun);
    return new Promise((resolve) => {
      reader.on("close", () => {
        this.stop = undefined;
        this.begun = waiting.length > 0 ? reader.line : "";
        if (waiting.length === 0 || this.begun !== "") this.output.write("\n");
        resolve(waiting.shift() ?? null);
      });
    });
  }

  close(): void {
    this.stop?.();
  }
}

class PipeLines implements Lines {
  private readonly lines: AsyncGenerator<string>;

  constructor(stdin: Io["stdin"]) {
    this.lines = linesIn(stdin);
  }

  async next(): Promise<string | null> {
    const { done, value } = await this.lines.next();
    return done ? null : value;
  }

  close(): void {
    void this.lines.return(undefined);
  }
}

/** @throws UsageError if one is too long to be kept */
async function* linesIn(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of pieces) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, "");
    if (rest.length > MOST_CHARS) {
      throw new UsageError(
        `A line of the input has more than ${count(MOST_CHARS)} characters; put line ends into it.`,
      );
    }
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
