// Runs a command as a process: errors become sentences and exit codes.

import { ConfigError, UserError } from "../src/errors.ts";
import { reason } from "../src/files/reason.node.ts";
import type { Env } from "./flags.ts";
import { unknownVariables } from "./meant.ts";
import { UsageError } from "./given.ts";

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  /** Whether it shows colours, and the user has not asked for none (NO_COLOR). */
  hasColors?(): boolean;
}

/** What a command needs of its process; a test gives it something else. */
export interface Io {
  stdout: Output;
  stderr: Output;
  stdin: AsyncIterable<Uint8Array> & { isTTY?: boolean };
  on(event: NodeJS.Signals, listener: () => void): unknown;
  off(event: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

/** A command: what it returns is the exit code. */
export type Main = (argv: readonly string[], env: Env, io: Io) => Promise<number>;

export const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_PIPE = 141;

/** Runs the command of this process. The event loop ends by itself once the device is closed. */
export async function run(main: Main): Promise<void> {
  watchOutput(process);
  const code = await runMain(main, process.argv.slice(2), process.env, process);
  if (code !== 0) process.exitCode = code;
}

/** Runs `main`; what it throws is shown on stderr. */
export async function runMain(
  main: Main,
  argv: readonly string[],
  env: Env,
  io: Io,
): Promise<number> {
  for (const warning of unknownVariables(env)) io.stderr.write(warning);
  try {
    return await main(argv, env, io);
  } catch (error) {
    if (error instanceof UserError) {
      io.stderr.write(`error: ${error.message}\n`);
      return error instanceof UsageError || error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILED;
    }
    const trace = error instanceof Error ? error.stack : String(error);
    io.stderr.write(
      `${trace}\nerror: This is a bug of the program; please report the lines above.\n`,
    );
    return EXIT_FAILED;
  }
}

/**
 * Ends quietly once nobody reads stdout any more (`train | head`). Node ignores the signal and raises
 * an error for each write instead; the first of them becomes the signal again, for commands that
 * have something to save, and the end for those that have not. Where stdout fails for another reason (a full disk, a
 * terminal that is gone) the command does its work all the same, and its exit code tells that the output is not whole.
 */
export function watchOutput(
  process: Pick<NodeJS.Process, "stdout" | "stderr" | "emit" | "exit" | "exitCode">,
): void {
  let ended = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (ended) return;
    ended = true;
    if (error.code === "EPIPE") {
      if (!process.emit("SIGPIPE", "SIGPIPE")) process.exit(EXIT_PIPE);
      return;
    }
    process.exitCode ??= EXIT_FAILED;
    process.stderr.write(
      `warning: The output cannot be written: ${reason(error)}. The command goes on without it.\n`,
    );
  });
  process.stderr.on("error", () => {});
}
