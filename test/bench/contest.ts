// Runs benchmark commands one after the other, round by round, so that what else the machine does meets all alike.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { bytes, digits } from "../../cli/format.ts";
import { count } from "../../src/count.ts";
import { groupBy } from "../../src/group_by.ts";
import { median } from "../../src/device/timing.ts";
import { isPreset, presetNames } from "../../src/presets.ts";
import { benchmarkSizes } from "../../src/verify/workload.ts";

/** A command that prints a JSON line for each library or mode it measures. */
export interface Contestant {
  name: string;
  command: string[];
  /** Whether the first word of the command is a line for the shell. */
  shell?: boolean;
}

/** One measurement, with the keys that all commands share. */
export interface Line {
  round: number;
  peer: string;
  mode: string;
  ms_per_step: number;
  tokens_per_s: number;
  dtype?: string;
  gflops?: number;
  peak_bytes?: number | null;
  adapter?: string | null;
}

export interface Failure {
  round: number;
  name: string;
  error: string;
}

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** A command of this project, as `npm run` starts it. */
export function own(command: string, ...args: string[]): string[] {
  return [process.execPath, `${root}cli/start.js`, command, ...args];
}

/** A preset's sizes by the names that the other libraries' scripts have for them. */
export function sizesOf(preset: string): Record<string, number> {
  if (!isPreset(preset)) {
    throw new Error(`There is no preset "${preset}"; the presets are ${presetNames}.`);
  }
  const { n_layer, n_embd, n_head, block_size, batch_size, vocab_size } = benchmarkSizes(preset);
  return {
    layers: n_layer,
    embd: n_embd,
    heads: n_head,
    block: block_size,
    batch: batch_size,
    vocab: vocab_size,
  };
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end, or to its limit; its streams in full. */
export function execute(
  { command: [file, ...args], shell = false }: Contestant,
  { seconds = 600, env = {} }: { seconds?: number; env?: Record<string, string> } = {},
): Promise<Finished> {
  const child = spawn(file, args, {
    shell,
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const limit = setTimeout(() => child.kill(), seconds * 1000);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  const ended = new Promise<Finished>((resolve) => {
    child.on("error", (error) => resolve({ code: -1, stdout, stderr: error.message }));
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return ended.finally(() => clearTimeout(limit));
}

/** What a command that failed said of it: its last line about an error. */
export function lastWords(stderr: string): string | undefined {
  const lines = stderr.trim().split("\n");
  return lines.findLast((line) => /error/i.test(line)) || lines.at(-1) || undefined;
}

/** The JSON objects among the lines of a text. */
export function jsonLines(text: string): any[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

/** @param log told what runs and what it gave */
export async function contest(
  contestants: readonly Contestant[],
  rounds: number,
  log: (line: string) => void,
): Promise<{ lines: Line[]; failures: Failure[] }> {
  const lines: Line[] = [];
  const failures: Failure[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const contestant of contestants) {
      const { name } = contestant;
      const { stdout, stderr } = await execute(contestant);
      const results = jsonLines(stdout);
      if (results.length === 0) {
        results.push({ error: lastWords(stderr) ?? "it printed no JSON line" });
      }
      for (const result of results) {
        if (result.error === undefined) lines.push({ round, ...result });
        else failures.push({ round, name, error: result.error });
        const told =
          result.error ?? `${result.mode}: ${count(Math.round(result.tokens_per_s))} tokens/s`;
        log(`round ${round}/${rounds}  ${name}  ${told}`);
      }
    }
  }
  return { lines, failures };
}

/** Median of each library and mode over the rounds, the first one measured first. */
export function standings(lines: readonly Line[]) {
  const groups = groupBy(lines, ({ peer, mode }) => `${peer}, ${mode}`);
  const [first] = groups.values();
  return [...groups].map(([name, runs]) => {
    const of = (key: "ms_per_step" | "tokens_per_s") => median(runs.map((run) => run[key]));
    // Round by round: both then met the same load.
    const ratios = runs.flatMap((run) => {
      const ours = first.find(({ round }) => round === run.round);
      return ours ? [ours.tokens_per_s / run.tokens_per_s] : [];
    });
    return {
      name,
      ms_per_step: of("ms_per_step"),
      tokens_per_s: of("tokens_per_s"),
      peak_bytes: runs[0].peak_bytes ?? null,
      /** How many times as fast the first one is. */
      ratio: median(ratios),
    };
  });
}

/** The standings as a Markdown table. */
export function markdown(lines: readonly Line[]): string {
  const rows = standings(lines).map(({ name, ms_per_step, tokens_per_s, peak_bytes, ratio }, i) => [
    name,
    digits(ms_per_step),
    count(Math.round(tokens_per_s)),
    peak_bytes === null ? "" : bytes(peak_bytes),
    i === 0 ? "" : `${ratio.toFixed(2)}×`,
  ]);
  const ours = lines[0].peer.replace(/ [\d.]+$/, "");
  const head = ["library, device", "ms/step", "tokens/s", "peak memory", `${ours} against it`];
  return table([head, ["---", "--:", "--:", "--:", "--:"], ...rows]);
}

export function table(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
}
