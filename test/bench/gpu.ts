// Everything that only a real GPU can tell, in one call of some minutes and in the order of its worth: whether every
// kernel is right there, what switches are worth, speed beside PyTorch (f32, and f16 beside its bf16), small models,
// cold start, validation losses of both dtypes. Prints a Markdown table, and writes it after every part.
//
//   node test/bench/gpu.ts --torch 'python3 torch_gpt.py' --peak-tflops 67 --text book.txt --out results --seconds 480
//
// Each part is a process of its own, whose whole output is kept under --out: one that fails, crashes or takes too long
// costs only itself. --part names the parts to run, with commas between; --seconds is for all of them together.
// --torch is the command line of a script that trains the same model with PyTorch; it takes --layers, --embd, --heads,
// --block, --batch, --vocab and --modes. --text is trained on for the validation losses. Nothing is measured on a GPU in
// software, but with --software.

import { spawn } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root, table } from "./contest.ts";
import { type PartName, type Row, parts, runPart } from "./gpu_parts.ts";

const { values } = parseArgs({
  options: {
    torch: { type: "string" },
    "peak-tflops": { type: "string", default: "67" }, // float32, as the maker states it
    preset: { type: "string", default: "shakespeare" },
    steps: { type: "string", default: "20000" }, // of microgpt: enough to fill a second
    text: { type: "string" },
    out: { type: "string", default: "output/gpu" },
    seconds: { type: "string", default: "480" },
    part: { type: "string" },
    software: { type: "boolean", default: false },
    child: { type: "boolean", default: false }, // runs the part here, and writes what it finds
  },
});
const { out } = values;
const rowsOf = (name: string) => join(out, `${name}.json`);

/** What a part has found so far; nothing where it has not run. */
function found(name: string): { rows: Row[]; results: Record<string, any> } {
  const file = rowsOf(name);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { rows: [], results: {} };
}

function save(names: readonly string[]): string {
  const verdict = { true: "yes", false: "no", null: "" };
  const rows = names.flatMap((name) => found(name).rows);
  const text = table([
    ["what", "measured", "bar", "reached"],
    ["---", "---", "---", "---"],
    ...rows.map(({ what, measured, bar, reached }) => [what, measured, bar, verdict[`${reached}`]]),
  ]);
  writeFileSync(join(out, "gpu.md"), `${text}\n`);
  return text;
}

/** @returns how it ended, for people */
function runChild(name: string, seconds: number): Promise<string> {
  const own = [`${root}test/bench/gpu.ts`, ...process.argv.slice(2), "--child", "--part", name];
  const child = spawn(process.execPath, own, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // with its own children it is ended together
  });
  const log = createWriteStream(join(out, `${name}.log`));
  for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    process.kill(-child.pid!, "SIGKILL");
  }, seconds * 1000);
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      log.end();
      if (late) resolve(`ended after ${Math.round(seconds)} s, before it was done`);
      else resolve(code === 0 ? "" : `failed (${signal ?? `exit code ${code}`}), see ${name}.log`);
    });
  });
}

async function main(): Promise<number> {
  mkdirSync(out, { recursive: true });
  const all = Object.keys(parts) as PartName[];
  const wanted = (values.part?.split(",") ?? all) as PartName[];
  const unknown = wanted.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) {
    console.error(`error: There is no part "${unknown}"; the parts are ${all.join(", ")}.`);
    return 2;
  }
  if (values.child) {
    const keep = (what: object) => writeFileSync(rowsOf(wanted[0]), JSON.stringify(what));
    await runPart(wanted[0], values, keep, found);
    return 0;
  }
  const start = performance.now();
  for (const name of wanted) {
    const left = Number(values.seconds) - (performance.now() - start) / 1000;
    const from = performance.now();
    const failure =
      left < 1 ? "no time was left" : await runChild(name, Math.min(left, parts[name].seconds));
    const { rows, results } = found(name);
    if (failure) {
      rows.push({ what: name, measured: failure, bar: "", reached: null });
      writeFileSync(rowsOf(name), JSON.stringify({ rows, results }));
    }
    console.error(`# ${name}: ${((performance.now() - from) / 1000).toFixed(1)} s`);
    for (const { what, measured, bar } of rows)
      console.error(`${what}: ${measured}${bar && ` (bar: ${bar})`}`);
    save(all);
    if (results.stop) {
      console.error(`error: ${results.stop}`);
      return 1;
    }
  }
  console.log(save(all));
  return 0;
}

process.exitCode = await main();
