// All commands as one: `microgpt-webgpu train --input names.txt`. Each is loaded only when it is asked for.

import { platform } from "#platform";
import { commandLine } from "../src/platform/invocation.ts";
import type { CommandMain } from "./command.ts";
import { UsageError } from "./given.ts";
import { nearest } from "../src/nearest.ts";
import { type Main, run } from "./run.ts";

const commands: Record<string, () => Promise<{ main: CommandMain }>> = {
  train: () => import("./train.ts"),
  sweep: () => import("./sweep.ts"),
  generate: () => import("./generate.ts"),
  chat: () => import("./chat.ts"),
  serve: () => import("./serve.ts"),
  info: () => import("./info.ts"),
  tokenize: () => import("./tokenize.ts"),
  export: () => import("./export.ts"),
  import: () => import("./import.ts"),
  doctor: () => import("./doctor.ts"),
  bench: () => import("./bench.ts"),
};

export const main: Main = async ([name, ...argv], env, io) => {
  if (name === undefined) throw new UsageError(`Which command? ${known()}`);
  if (["--version", "-v"].includes(name)) {
    io.stdout.write(`${platform.versions().engine}\n`);
    return 0;
  }
  if (["--help", "-h", "help"].includes(name)) {
    io.stdout.write(await helpText());
    return 0;
  }
  if (Object.hasOwn(commands, name)) return (await commands[name]()).main(argv, env, io);
  const match = nearest(name, Object.keys(commands));
  const hint = match === undefined ? "" : ` Did you mean ${match}?`;
  throw new UsageError(`There is no command "${name}".${hint} ${known()}`);
};

function known(): string {
  return `The commands are ${Object.keys(commands).join(", ")}; --help tells what each of them does.`;
}

async function helpText(): Promise<string> {
  const names = Object.keys(commands);
  const width = Math.max(...names.map((name) => name.length));
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  return [
    `Trains GPTs in WebGPU compute shaders, and writes with them.`,
    ``,
    `Usage: ${commandLine("COMMAND")} [flags]`,
    ``,
    ...names.map((name, i) => `  ${name.padEnd(width)}  ${firstSentence(loaded[i].main.summary)}`),
    ``,
    `The flags of a command: ${commandLine("COMMAND", "--help")}`,
    ``,
  ].join("\n");
}

function firstSentence(text: string): string {
  return text.replace(/(?<=\.) .*$/s, "");
}

/** Runs the command that this process was started with. */
export function start(): Promise<void> {
  return run(main);
}
