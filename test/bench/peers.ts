// Measures this project and other libraries in turns, and prints a table for the README.
//
//   node test/bench/peers.ts --peers FOLDER --preset small --rounds 3
//   node test/bench/peers.ts --peer 'python3 torch_gpt.py --layers {layers} --embd {embd} --heads {heads} \
//     --block {block} --batch {batch} --vocab {vocab} --modes fp32' --preset shakespeare
//
// FOLDER holds jaxjs_gpt.mjs and tfjs_gpt.mjs with what they need installed. Any other peer is a command
// line that prints a JSON line with peer, mode, ms_per_step and tokens_per_s; {layers}, {embd}, {heads},
// {block}, {batch}, {vocab}, {steps} and {warmup} stand for the preset's sizes in it.

import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Contestant, contest, markdown, own, sizesOf } from "./contest.ts";

const { values } = parseArgs({
  options: {
    peers: { type: "string" },
    peer: { type: "string", multiple: true, default: [] },
    preset: { type: "string", default: "small" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "10" },
    warmup: { type: "string", default: "2" },
    out: { type: "string" }, // a file for every single measurement, as JSON
  },
});
const { peers, peer, preset, rounds, steps, warmup, out } = values;

const sizes: Record<string, string | number> = { ...sizesOf(preset), steps, warmup };
const flags = Object.entries(sizes).flatMap(([name, size]) => [`--${name}`, String(size)]);
const common = ["--preset", preset, "--steps", steps, "--warmup", warmup];

const contestants: Contestant[] = [
  { name: "microgpt-webgpu", command: own("bench", "--json", ...common) },
  ...(peers === undefined ? [] : inFolder(peers)),
  ...peer.map((line): Contestant => {
    const command = line.replace(/\{(\w+)\}/g, (whole, name) => String(sizes[name] ?? whole));
    return { name: line.split(/\s+/).slice(0, 2).join(" "), command: [command], shell: true };
  }),
];

const { lines, failures } = await contest(contestants, Number(rounds), console.error);
if (out !== undefined) writeFileSync(out, `${JSON.stringify({ lines, failures }, null, 2)}\n`);

const adapter = lines.find((line) => line.adapter)?.adapter ?? "CPU";
const model = `${sizes.layers} layers, ${sizes.embd} channels, context ${sizes.block}, batch ${sizes.batch}`;
console.log(
  `Preset ${preset} (${model}) on ${adapter}, median of ${rounds} rounds of ${steps} steps:\n`,
);
if (lines.length > 0) console.log(markdown(lines));
for (const { round, name, error } of failures)
  console.log(`\n${name} failed in round ${round}: ${error}`);
process.exitCode = failures.length > 0 ? 1 : 0;

function inFolder(folder: string): Contestant[] {
  const known = [
    { file: "jaxjs_gpt.mjs", backend: "webgpu" },
    { file: "jaxjs_gpt.mjs", backend: "wasm" },
    { file: "tfjs_gpt.mjs", backend: "webgpu" },
  ];
  const found = known.filter(({ file }) => existsSync(join(folder, file)));
  if (found.length === 0) {
    throw new Error(
      `${folder} holds neither jaxjs_gpt.mjs nor tfjs_gpt.mjs; --peers takes their folder.`,
    );
  }
  return found.map(({ file, backend }) => ({
    name: `${file} ${backend}`,
    command: [process.execPath, resolve(folder, file), "--backend", backend, ...flags],
  }));
}
