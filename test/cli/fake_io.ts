// Runs a command inside the test's process, with streams and signals that the test holds.

import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Env } from "../../cli/flags.ts";
import { type Io, type Main, type Output, runMain } from "../../cli/run.ts";

class TextSink implements Output {
  text = "";
  isTTY?: boolean;
  columns?: number;
  /** Called with every piece of text. */
  onWrite: (text: string) => void = () => {};

  write(text: string): void {
    this.text += text;
    this.onWrite(text);
  }
}

export class FakeIo extends EventEmitter implements Io {
  readonly stdout = new TextSink();
  readonly stderr = new TextSink();
  readonly exits: number[] = [];
  stdin: Io["stdin"] = (async function* () {})();

  exit(code: number): void {
    this.exits.push(code);
  }
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command as `run` does, but for the process. */
export async function runCli(
  main: Main,
  argv: readonly string[],
  env: Env = {},
  io = new FakeIo(),
): Promise<Outcome> {
  const code = await runMain(main, argv, env, io);
  return { code, stdout: io.stdout.text, stderr: io.stderr.text };
}

/** The lines of a --json run. */
export function parseLines(text: string): Record<string, any>[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** An empty folder that the test's end removes. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "microgpt-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
