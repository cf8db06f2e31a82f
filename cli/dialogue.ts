// Somebody writes lines, and a model responds to each. Ctrl-C stops what it is at, and where it waits for a line ends all.

import { GpuError, UserError } from "../src/errors.ts";
import { linesOf } from "./lines.ts";
import { EXIT_FAILED, type Io } from "./run.ts";

/** Under `npm run` a Ctrl-C comes twice, from the terminal and from npm: this soon it is the same one. */
const ECHO_MS = 500;

export interface Dialogue {
  /** What a terminal shows where a line is waited for. */
  prompt: string;
  /** What a terminal shows first. */
  welcome: string;
  /** Whether what goes wrong is a JSON line too. */
  json: boolean;
  /**
   * What is done with a line that is not blank.
   * @param signal aborted by Ctrl-C
   * @returns false to end the dialogue
   * @throws UserError which is told, and the next line is waited for
   */
  respond(line: string, signal: AbortSignal): Promise<boolean>;
}

/** @returns the exit code; where the lines come from a pipe it tells whether one of them had an error */
export async function dialogue(io: Io, { prompt, welcome, json, respond }: Dialogue) {
  const { stdin, stdout, stderr } = io;
  const lines = linesOf(stdin, prompt, stdout.isTTY && !json ? stdout : stderr);
  let response: AbortController | undefined;
  let stoppedAt = -Infinity;
  const stop = () => {
    const echo = performance.now() - stoppedAt < ECHO_MS;
    stoppedAt = performance.now();
    if (response) response.abort();
    else if (!echo) lines.close();
  };
  let code = 0;
  if (stdin.isTTY) {
    stderr.write(`${welcome}\n`);
    io.on("SIGINT", stop); // of a pipe it ends the process
  }
  try {
    for (let line = await lines.next(); line !== null; line = await lines.next()) {
      if (line.trim() === "") continue;
      response = new AbortController();
      try {
        if (!(await respond(line, response.signal))) break;
      } catch (error) {
        if (!(error instanceof UserError) || error instanceof GpuError) throw error;
        const { message } = error;
        if (json) stdout.write(`${JSON.stringify({ type: "error", message })}\n`);
        else stderr.write(`error: ${message}\n`);
        if (!stdin.isTTY) code = EXIT_FAILED;
      }
      response = undefined;
    }
  } finally {
    io.off("SIGINT", stop);
    lines.close();
  }
  return code;
}
