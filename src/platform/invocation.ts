// How the user starts a command of this program, for messages that name one to be pasted. Node and Deno only.

import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { shellQuote } from "../shell_quote.ts";

const NAME = "microgpt-webgpu";
export const DENO = ["deno", "run", "-A", "--unstable-webgpu"];

/** Where a process stands; a test gives another. */
export interface Place {
  /** Of this module: TypeScript in a checkout, JavaScript in the installed package. */
  url: string;
  /** The script that was started. */
  script: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  windows: boolean;
  deno: boolean;
}

const here = (): Place => ({
  url: import.meta.url,
  script: process.argv[1],
  env: process.env,
  cwd: process.cwd(),
  windows: process.platform === "win32",
  deno: "deno" in process.versions,
});

/**
 * A command with its arguments, as this program was started: by `npm run` or `node cli/…` in a checkout, by npx or its
 * own name where it is installed, by Deno anywhere. What the shell would take apart is quoted.
 */
export function commandLine(command: string, ...args: string[]): string {
  return commandLineAt(here(), command, ...args);
}

export function commandLineAt(place: Place, command: string, ...args: string[]): string {
  const [words, separator] = prefix(place, command);
  const rest = args.map((arg) => quote(arg, place.windows));
  return [...words, ...(rest.length > 0 ? [...separator, ...rest] : [])].join(" ");
}

/** What starts the command, and what stands between it and its flags. */
function prefix(place: Place, command: string): [words: string[], separator: string[]] {
  const { url, script = "", env, cwd, windows, deno } = place;
  const cli = join(fileURLToPath(new URL("../../", url)), "cli");
  if (deno) {
    const npx = env.npm_command === "exec" ? ["npx"] : [];
    const path = quote(relative(cwd, join(cli, "start.js")), windows);
    return [[...npx, ...DENO, path, command], []];
  }
  if (url.endsWith(".js")) {
    const own = basename(script) === NAME && !script.split(sep).includes("node_modules");
    return [[...(own && env.npm_command === undefined ? [] : ["npx"]), NAME, command], []];
  }
  if (env.npm_command === undefined && dirname(script) === cli) {
    const start = basename(script) === "start.js";
    const path = relative(cwd, start ? script : join(cli, `${command}.ts`));
    return [["node", quote(path, windows), ...(start ? [command] : [])], []];
  }
  return [["npm", "run", command], ["--"]];
}

/** An argument as a shell takes it for one word: that of POSIX, or Windows' own. */
function quote(arg: string, windows: boolean): string {
  if (!windows) return shellQuote(arg);
  return /^[\w@+=:,./\\-]+$/.test(arg) ? arg : `"${arg.replaceAll('"', '""')}"`;
}
