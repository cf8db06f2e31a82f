// Continues texts with this project and with other libraries in turns, and prints a table for the README.
//
//   node test/bench/decode_peers.ts --peers FOLDER [--preset size-small] [--block-size 256] [--tokens 32] [--rounds 3]
//
// FOLDER holds a script decode_*.mjs for each library and device, with what it needs installed. A script takes --batches and
// --tokens, reads prompts of half a context with a model of the preset's shape, and prints a JSON line for each batch: peer,
// mode, batch, and the tokens a second of decoding alone and with the prompts' reading, `decoded` and `written`.

import { readdirSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { count } from "../../src/count.ts";
import { median } from "../../src/device/timing.ts";
import { groupBy } from "../../src/group_by.ts";
import { type Contestant, execute, jsonLines, lastWords, root, table } from "./contest.ts";

interface Line {
  round: number;
  peer: string;
  mode: string;
  batch: number;
  decoded: number;
  written: number;
}

const { values } = parseArgs({
  options: {
    peers: { type: "string", default: "." },
    preset: { type: "string", default: "size-small" },
    "block-size": { type: "string", default: "256" },
    batches: { type: "string", default: "1,16,64" },
    tokens: { type: "string", default: "32" },
    rounds: { type: "string", default: "3" },
  },
});
const { peers, preset, batches, tokens } = values;
const rounds = Number(values.rounds);

const sizes = ["--batches", batches, "--tokens", tokens];
const shape = ["--preset", preset, "--block-size", values["block-size"]];
const scripts = readdirSync(peers).filter((name) => /^decode_.*\.mjs$/.test(name));
if (scripts.length === 0) {
  throw new Error(`${peers} holds no decode_*.mjs; --peers takes the folder of such scripts.`);
}
const own = [join(root, "test/bench/decode.ts"), "--json", "--rounds", "1", ...shape, ...sizes];
const contestants: Contestant[] = [
  { name: "microgpt-webgpu", command: [process.execPath, ...own] },
  ...scripts.toSorted().map((name): Contestant => {
    return { name, command: [process.execPath, resolve(peers, name), ...sizes] };
  }),
];

const load = () => loadavg()[0].toFixed(1);
const loads = [load()];
const lines: Line[] = [];
for (let round = 1; round <= rounds; round++) {
  for (const contestant of contestants) {
    const { stdout, stderr } = await execute(contestant);
    const results = jsonLines(stdout);
    loads.push(load());
    lines.push(...results.map((result) => ({ round, ...result })));
    const told = results.map(({ batch, decoded }) => `${batch}: ${decoded.toFixed(0)}`).join("  ");
    console.error(
      `round ${round}, load ${load()}  ${contestant.name}  ${told || lastWords(stderr)}`,
    );
    if (results.length === 0) process.exitCode = 1;
  }
}

const groups = [...groupBy(lines, ({ peer, mode }) => `${peer}, ${mode}`)];
const columns = batches.split(",").map(Number);
/** The median of a number, and how many times as fast the first of the table is, round by round. */
function cell(key: "decoded" | "written", batch: number, runs: readonly Line[]): string {
  const mine = runs.filter((run) => run.batch === batch);
  if (mine.length === 0) return "";
  const ratios = mine.flatMap((run) => {
    const ours = groups[0][1].find((one) => one.batch === batch && one.round === run.round);
    return ours ? [ours[key] / run[key]] : [];
  });
  const number = count(Math.round(median(mine.map((run) => run[key]))));
  return runs === groups[0][1] ? number : `${number} (${median(ratios).toFixed(1)} ×)`;
}
for (const key of ["decoded", "written"] as const) {
  const what = key === "decoded" ? "decoding" : "with the prompts' reading";
  console.log(`\nTokens/s, ${what}; ${preset}, medians of ${rounds} rounds:\n`);
  const head = ["library, device", ...columns.map((batch) => `batch ${batch}`)];
  const rows = groups.map(([name, runs]) => [name, ...columns.map((b) => cell(key, b, runs))]);
  console.log(table([head, ["---", ...columns.map(() => "--:")], ...rows]));
}
console.log(`\nLoad ${loads[0]} at the start, ${loads.at(-1)} at the end, ${cpus().length} cores.`);
