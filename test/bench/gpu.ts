// Everything that only a real GPU can tell, in one call of some minutes: speed beside PyTorch (f32, and f16 beside
// its bf16), the largest products, small models, cold start, validation losses of both dtypes. Prints a Markdown
// table, and writes all of it as JSON.
//
//   node test/bench/gpu.ts --torch 'python3 torch_gpt.py' --peak-tflops 67 --text book.txt --out results
//
// --torch is the command line of a script that trains the same model with PyTorch; it takes --layers, --embd,
// --heads, --block, --batch, --vocab and --modes. --text is trained on for the validation losses. --only names the
// parts to run, with commas between.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { humanReport } from "../../cli/bench_report.ts";
import { bytes, digits, percent } from "../../cli/format.ts";
import { count } from "../../cli/progress.ts";
import type { Config } from "../../src/config.ts";
import { median } from "../../src/device/timing.ts";
import type { BenchmarkResult, Profile } from "../../src/verify/benchmark.ts";
import type { Tuning } from "../../src/tuning/tune.ts";
import type { OperationCost } from "../../src/verify/measure.ts";
import {
  type Contestant,
  contest,
  execute,
  jsonLines,
  lastWords,
  own,
  sizesOf,
  table,
} from "./contest.ts";
import { firstLossSeconds } from "./cold_start.ts";

const { values } = parseArgs({
  options: {
    torch: { type: "string" },
    "peak-tflops": { type: "string", default: "67" }, // float32, as the maker states it
    preset: { type: "string", default: "shakespeare" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "20000" }, // of microgpt: enough to fill a second
    text: { type: "string" },
    out: { type: "string", default: "output/gpu" },
    only: { type: "string" },
  },
});
const { preset } = values;
const peak = Number(values["peak-tflops"]) * 1e3;
const steps = Number(values.steps);

interface Row {
  what: string;
  measured: string;
  bar: string;
  reached: boolean | null;
}

const rows: Row[] = [];
const results: Record<string, unknown> = {};
const scratch = mkdtempSync(join(tmpdir(), "microgpt-gpu-"));

function row(what: string, measured: string, bar = "", reached: boolean | null = null): void {
  rows.push({ what, measured, bar, reached });
  console.error(`${what}: ${measured}${bar && ` (bar: ${bar})`}`);
}

/** Runs a command of this project for the JSON it prints. */
async function ownJson(file: string, ...args: string[]): Promise<any[]> {
  const { code, stdout, stderr } = await execute({
    name: file,
    command: own(file, ...args, "--json"),
  });
  if (code !== 0) throw new Error(lastWords(stderr) ?? `${file} ended with ${code}`);
  return jsonLines(stdout);
}

const parts: Record<string, () => Promise<void>> = {
  async doctor() {
    const events = await ownJson("doctor.ts");
    const { name } = events[0];
    const { passed, failed } = events.at(-1);
    results.doctor = events;
    row("adapter", name);
    row("checks against float64", `${passed} passed, ${failed} failed`, "0 failed", failed === 0);
  },

  training: () => besidePyTorch(preset, Number(values.rounds), ["0.9×", 0.9]),

  half: () => besidePyTorch(preset, Number(values.rounds), ["0.6×", 0.6], "f16"),

  kernels: () => timeKernels("f32"),

  kernels_half: () => timeKernels("f16"),

  async microgpt() {
    const one = await trainMicrogpt(1, steps);
    row("microgpt, batch 1", `${digits(one)} µs a step`, "20 µs", one <= 20);
    const sixteen = (await trainMicrogpt(16, steps)) / 16;
    row("microgpt, batch 16", `${digits(sixteen)} µs a sample`, "3 µs", sixteen <= 3);
  },

  async sweep() {
    const seeds = ["--seed", "1..132", "--steps", String(steps)];
    const end = (await ownJson("sweep.ts", ...seeds, "--output", scratch)).at(-1);
    results.sweep = end;
    const speed = end.model_steps_per_s;
    const measured = `${digits(speed / 1e6)} M model-steps/s`;
    row(`sweep of ${end.models} models`, measured, "5 M", speed >= 5e6);
  },

  async start() {
    const cold = await firstLossSeconds("cold");
    const warm = await firstLossSeconds("warm");
    results.start = { cold, warm };
    row("process start to first loss, cold shader caches", `${digits(cold)} s`, "2 s", cold <= 2);
    row("process start to first loss, warm", `${digits(warm)} s`);
  },

  gpt2: () => besidePyTorch("gpt2", 1),

  gpt2_half: () => besidePyTorch("gpt2", 1, ["0.5×", 0.5], "f16"),

  async validation() {
    if (values.text === undefined) return row("validation losses", "no --text to train on");
    const data = ["--input", values.text, "--format", "text", "--val-fraction", "0.1"];
    const { layers, embd, heads, block, batch } = sizesOf(preset);
    const model = `--n-layer ${layers} --n-embd ${embd} --n-head ${heads} --block-size ${block} --batch-size ${batch}`;
    const run = "--steps 2000 --lr 0.001 --eval-every 500 --log-every 2000 --num-samples 0";
    const losses: number[] = [];
    for (const dtype of ["f32", "f16"]) {
      const flags = [...data, ...`${model} ${run}`.split(" "), "--dtype", dtype];
      const end = (await ownJson("train.ts", ...flags, "--output", scratch)).at(-1);
      results[`validation ${dtype}`] = end;
      losses.push(end.val_loss);
      row(`${preset}, ${dtype}, validation loss after 2,000 steps`, end.val_loss.toFixed(4));
    }
    const apart = Math.abs(losses[1] / losses[0] - 1);
    row("f16's validation loss against f32's", percent(apart), "1 %", apart <= 0.01);
  },
};

/** Every operation of a step, and the largest products beside what the device could do. */
async function timeKernels(dtype: Config["dtype"]): Promise<void> {
  const flags = ["--preset", preset, "--dtype", dtype, "--kernels", "--explain"];
  const [line] = await ownJson("bench.ts", ...flags);
  const { operations, ceilings, tuning, ...result } = line as BenchmarkResult &
    Profile & { tuning: Tuning };
  results[`kernels ${dtype}`] = line;
  humanReport(
    { write: (text) => writeFileSync(join(values.out, "kernels.txt"), text, { flag: "a" }) },
    { peer: "", ...result },
    { operations, ceilings },
    tuning,
  );
  const products = operations.filter(({ shape }) => shape.includes(" x "));
  const volume = ({ shape }: OperationCost) => shape.split(" x ").reduce((m, n) => m * +n, 1);
  const most = Math.max(...products.map(volume));
  // Several are the largest: a layer's products, forward and backward.
  for (const product of products.filter((product) => volume(product) === most)) {
    const { op, kernel, shape, gflops } = product;
    const what = `largest product in ${dtype}: ${op} ${shape} by ${kernel}`;
    const speed = `${digits(gflops! / 1e3)} TFLOP/s`;
    const share = gflops! / peak;
    if (dtype === "f16") row(what, speed, "150 TFLOP/s", gflops! >= 150e3);
    else row(what, `${speed}, ${percent(share)} of the peak`, "60 %", share >= 0.6);
  }
  const { gpu_ms_per_step, ms_per_step } = result;
  if (gpu_ms_per_step !== null) {
    row(`${preset}, ${dtype}, a step by the GPU's clock`, `${digits(gpu_ms_per_step)} ms`);
  }
  row(`${preset}, ${dtype}, a step by the wall clock`, `${digits(ms_per_step)} ms`);
  row("copy bandwidth", `${count(Math.round(ceilings.gb_per_s))} GB/s`);
}

/** What PyTorch is asked for beside each dtype, and what that is called. */
const torchModes = { f32: ["fp32", "fp32 eager"], f16: ["bf16-compile", "bf16 compiled"] } as const;

/**
 * This project and PyTorch in turns; with f16 the project's own f32 too.
 * @param bar of the ratio to PyTorch
 */
async function besidePyTorch(
  preset: string,
  rounds: number,
  bar?: [string, number],
  dtype: "f32" | "f16" = "f32",
) {
  const ownIn = (dtype: string) => own("bench.ts", "--preset", preset, "--dtype", dtype, "--json");
  const [mode, words] = torchModes[dtype];
  const contestants: Contestant[] = [{ name: "microgpt-webgpu", command: ownIn(dtype) }];
  if (dtype === "f16") contestants.push({ name: "microgpt-webgpu in f32", command: ownIn("f32") });
  if (values.torch !== undefined) {
    const sizes = Object.entries(sizesOf(preset)).map(([name, size]) => `--${name} ${size}`);
    const line = `${values.torch} ${sizes.join(" ")} --modes ${mode}`;
    contestants.push({ name: "PyTorch", command: [line], shell: true });
  }
  const run = await contest(contestants, rounds, console.error);
  const what = dtype === "f32" ? preset : `${preset}, ${dtype}`;
  results[`training ${what}`] = run;
  for (const { name, error } of run.failures) row(`${name}, ${what}`, `failed: ${error}`);
  const standing = (is: (line: (typeof run.lines)[number]) => boolean) => {
    const lines = run.lines.filter(is);
    const speed = lines.length > 0 ? median(lines.map((line) => line.tokens_per_s)) : NaN;
    return { speed, peak_bytes: lines[0]?.peak_bytes ?? NaN };
  };
  const isOwn = ({ peer }: { peer: string }) => peer.startsWith("microgpt-webgpu");
  const ours = standing((line) => isOwn(line) && line.dtype === dtype);
  const inFull = standing((line) => isOwn(line) && line.dtype !== dtype);
  const torch = standing((line) => !isOwn(line));
  if (ours.speed) row(`${what}, tokens/s`, count(Math.round(ours.speed)));
  if (torch.speed) row(`${preset}, PyTorch ${words}, tokens/s`, count(Math.round(torch.speed)));
  const gain = ours.speed / inFull.speed;
  if (gain) row(`${what}, against f32`, `${gain.toFixed(2)}×`, "3×", gain >= 3);
  const ratio = ours.speed / torch.speed;
  if (!ratio) return;
  const [goal, least] = bar ?? ["", NaN];
  const reached = bar ? ratio >= least : null;
  row(`${what}, against PyTorch ${words}`, `${ratio.toFixed(2)}×`, goal, reached);
  const less = ours.peak_bytes <= torch.peak_bytes;
  const torchBytes = `PyTorch's ${bytes(torch.peak_bytes)}`;
  row(`${what}, peak GPU memory`, bytes(ours.peak_bytes), torchBytes, less);
}

/** Microseconds a step. */
async function trainMicrogpt(batch_size: number, num_steps: number): Promise<number> {
  const sizes = ["--batch-size", String(batch_size), "--steps", String(num_steps)];
  const quiet = ["--log-every", String(num_steps), "--num-samples", "0", "--output", scratch];
  const events = await ownJson("train.ts", "--device", "webgpu", ...sizes, ...quiet);
  const end = events.at(-1);
  results[`microgpt batch ${batch_size}`] = end;
  return (end.seconds / end.steps) * 1e6;
}

/** What is known so far: a time limit may end the whole at any moment. */
function save(): string {
  const verdict = { true: "yes", false: "no", null: "" };
  const text = table([
    ["what", "measured", "bar", "reached"],
    ["---", "---", "---", "---"],
    ...rows.map(({ what, measured, bar, reached }) => [what, measured, bar, verdict[`${reached}`]]),
  ]);
  writeFileSync(join(values.out, "gpu.json"), `${JSON.stringify({ rows, results }, null, 2)}\n`);
  writeFileSync(join(values.out, "gpu.md"), `${text}\n`);
  return text;
}

mkdirSync(values.out, { recursive: true });
const wanted = values.only?.split(",") ?? Object.keys(parts);
for (const name of wanted) {
  const start = performance.now();
  try {
    if (!Object.hasOwn(parts, name)) {
      throw new Error(`there is no such part; there are ${Object.keys(parts).join(", ")}`);
    }
    await parts[name]();
  } catch (error) {
    row(name, `failed: ${(error as Error).message}`);
  }
  save();
  console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
}
rmSync(scratch, { recursive: true });
console.log(save());
