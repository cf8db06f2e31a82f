// A command: its flags are read, --help is answered, and the rest is its own.

import { type Command, type Env, type Flags, parseFlags } from "./flags.ts";
import { helpText } from "./help.ts";
import * as options from "./options.ts";
import type { Io, Main } from "./run.ts";

/** A command, and what it does in a sentence. */
export type CommandMain = Main & { readonly summary: string };

/** @param action what the command does; it returns the exit code */
export function command(
  description: Command,
  action: (flags: Flags, io: Io) => Promise<number>,
): CommandMain {
  const main = async (argv: readonly string[], env: Env, io: Io) => {
    const flags = parseFlags(description, argv, env);
    if (!flags.has(options.help)) return action(flags, io);
    io.stdout.write(helpText(description));
    return 0;
  };
  return Object.assign(main, { summary: description.summary });
}
