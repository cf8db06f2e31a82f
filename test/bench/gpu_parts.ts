// What test/bench/gpu.ts measures, part by part, in the order of its worth.

import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { humanReport } from "../../cli/bench_report.ts";
import { bytes, digits, percent } from "../../cli/format.ts";
import { count } from "../../src/count.ts";
import { NoWebGpuError } from "../../src/errors.ts";
import { type Device, openDevice } from "../../src/device/device.ts";
import { matrixUnit } from "../../src/device/matrix_unit.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { compare } from "./compile_ways.ts";
import { firstLossSeconds } from "./cold_start.ts";
import { execute, jsonLines, lastWords, own, sizesOf } from "./contest.ts";
import { matrixDispatches } from "./matrix_pipelines.ts";

export interface Row {
  what: string;
  measured: string;
  bar: string;
  reached: boolean | null;
}

interface Values {
  torch?: string;
  "peak-tflops": string;
  preset: string;
  steps: string;
  text?: string;
  out: string;
  software: boolean;
}

/** What a part is given. */
interface Bench {
  values: Values;
  row(what: string, measured: string, bar?: string, reached?: boolean | null): void;
  /** For whoever reads the JSON: of this part, by name. */
  results: Record<string, any>;
  /** Of an earlier part. */
  of(part: string): Record<string, any>;
  scratch: string;
}

/** In their order; each may take so many seconds at most. */
export const parts = {
  features: { seconds: 30, run: features },
  pipelines: { seconds: 90, run: pipelines },
  doctor: { seconds: 150, run: doctor },
  compare: { seconds: 120, run: compareWays },
  kernels: { seconds: 90, run: (bench: Bench) => timeKernels(bench, "f32") },
  kernels_half: { seconds: 90, run: (bench: Bench) => timeKernels(bench, "f16") },
  torch: { seconds: 60, run: (bench: Bench) => torch(bench, "f32") },
  torch_half: { seconds: 120, run: (bench: Bench) => torch(bench, "f16") },
  microgpt: { seconds: 40, run: microgpt },
  sweep: { seconds: 40, run: sweep },
  start: { seconds: 60, run: start },
  validation: { seconds: 120, run: validation },
  gpt2: { seconds: 120, run: (bench: Bench) => gpt2(bench, "f32") },
  gpt2_half: { seconds: 180, run: (bench: Bench) => gpt2(bench, "f16") },
  certificate: { seconds: 240, run: certificate },
} satisfies Record<string, { seconds: number; run(bench: Bench): Promise<void> }>;

export type PartName = keyof typeof parts;

/** Runs a part; what it has found is kept after every row. */
export async function runPart(
  name: PartName,
  values: Values,
  keep: (found: { rows: Row[]; results: Record<string, any> }) => void,
  found: (name: string) => { results: Record<string, any> },
): Promise<void> {
  const rows: Row[] = [];
  const results: Record<string, any> = {};
  const scratch = mkdtempSync(join(tmpdir(), "microgpt-gpu-"));
  const bench: Bench = {
    values,
    results,
    scratch,
    of: (part) => found(part).results,
    row(what, measured, bar = "", reached = null) {
      rows.push({ what, measured, bar, reached });
      keep({ rows, results });
    },
  };
  try {
    await parts[name].run(bench);
  } finally {
    keep({ rows, results });
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Runs a command of this project for the JSON it prints. */
async function ownJson(command: string, args: string[], needsSuccess = true): Promise<any[]> {
  const line = own(command, ...args, "--json");
  const { code, stdout, stderr } = await execute({ name: command, command: line });
  process.stderr.write(stderr);
  const lines = jsonLines(stdout);
  if (code !== 0 && (needsSuccess || lines.length === 0)) {
    throw new Error(`${command}: ${lastWords(stderr) ?? `it ended with ${code}`}`);
  }
  return lines;
}

async function features({ row, results, values }: Bench): Promise<void> {
  const query = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,memory.total,power.limit";
  const smi = await execute({
    name: "nvidia-smi",
    command: ["nvidia-smi", `--query-gpu=${query}`, "--format=csv,noheader"],
  });
  if (smi.code === 0) row("nvidia-smi: name, driver, clocks, memory, power", smi.stdout.trim());
  let device: Device;
  try {
    device = await openDevice();
  } catch (error) {
    if (!(error instanceof NoWebGpuError)) throw error;
    results.stop = `Nothing was measured. ${error.message}`;
    return row("adapter", "none");
  }
  const { info } = device;
  row("adapter", `${device.name} (${info.vendor}, ${info.architecture})`);
  row("subgroups", `${info.subgroupMinSize} to ${info.subgroupMaxSize} lanes`);
  const unit = matrixUnit(device);
  row("matrix units", unit ? `${unit.M} x ${unit.N} x ${unit.K}` : "none");
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<object> };
  results.configs = [...subgroupMatrixConfigs].map((config) => {
    const { componentType, resultComponentType, M, N, K } = config as Record<string, unknown>;
    return { componentType, resultComponentType, M, N, K };
  });
  results.software = device.software;
  results.features = device.features;
  results.limits = device.limits;
  console.log(JSON.stringify(results, null, 1));
  if (device.software && !values.software) {
    results.stop = `Nothing was measured: ${device.name} is a GPU in software; --software measures it.`;
  }
  device.destroy();
}

/** Each kernel of matrix units in a process of its own: a driver that crashes over one is found out. */
async function pipelines({ row, results }: Bench): Promise<void> {
  const device = await openDevice();
  const names = Object.keys(matrixDispatches(device));
  device.destroy();
  if (names.length === 0) return row("matrix pipelines", "there are no matrix units");
  const script = new URL("matrix_pipelines.ts", import.meta.url).pathname;
  const outcomes = await inParallel(names, async (name) => {
    const start = performance.now();
    const run = await execute({ name, command: [process.execPath, script, name] }, { seconds: 60 });
    const seconds = (performance.now() - start) / 1000;
    console.log(`${name}: ${run.code}, ${seconds.toFixed(2)} s ${run.stdout}${run.stderr}`);
    return { name, code: run.code, seconds };
  });
  results.pipelines = outcomes;
  const failed = outcomes.filter(({ code }) => code !== 0);
  const good = `${names.length - failed.length} of ${names.length}`;
  row("matrix pipelines that compile", good, "all", failed.length === 0);
  for (const { name, code } of failed) row(name, `exit code ${code}`);
  const longest = outcomes.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  row("longest compilation", `${digits(longest.seconds)} s (${longest.name})`);
}

/** As many at a time as the machine has cores for. */
async function inParallel<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  const workers = Math.max(1, Math.min(12, cpus().length - 2));
  await Promise.all(Array.from({ length: workers }, worker));
  return results;
}

/** Every row of doctor, kernel by kernel in processes side by side. */
async function doctor({ row, results }: Bench): Promise<void> {
  const kernels = [...new Set(kernelCases().map(({ kernel }) => kernel)), "gradients", "training"];
  const checks = new Map<string, any>();
  await inParallel(kernels, async (kernel) => {
    try {
      for (const event of await ownJson("doctor", ["--only", kernel], false)) {
        if (event.type === "check") checks.set(`${event.kernel}, ${event.case}`, event);
      }
    } catch (error) {
      row(`doctor --only ${kernel}`, (error as Error).message);
    }
  });
  const all = [...checks.values()];
  results.checks = all;
  const failed = all.filter(({ pass }) => !pass);
  const verdict = `${all.length - failed.length} passed, ${failed.length} failed`;
  row("checks against float64", verdict, "0 failed", failed.length === 0 && all.length > 0);
  for (const { kernel, case: name, error, allowed, detail = "" } of failed) {
    row(`${kernel}: ${name}`, `error ${error} of ${allowed} ${detail}`);
  }
}

async function compareWays({ row, results }: Bench): Promise<void> {
  await compare((what, measured) => {
    results[what] = measured;
    row(what, measured);
  });
}

/** Every operation of a step, and the largest products beside what the device could do. */
async function timeKernels({ row, results, values }: Bench, dtype: "f32" | "f16"): Promise<void> {
  const { preset } = values;
  const start = performance.now();
  const flags = ["--preset", preset, "--dtype", dtype, "--device", "webgpu"];
  const [line] = await ownJson("bench", [...flags, "--kernels", "--explain"]);
  row(
    `${preset}, ${dtype}: seconds of a first bench, tuning included`,
    digits((performance.now() - start) / 1000),
  );
  results.line = line;
  const { operations, ceilings, tuning, ...result } = line;
  humanReport(process.stdout, { peer: "", ...result }, { operations, ceilings }, tuning);
  row(`${preset}, ${dtype}, tokens/s`, count(Math.round(result.tokens_per_s)));
  const peak = Number(values["peak-tflops"]) * 1e3;
  const products = operations.filter(({ shape }: any) => shape.includes(" x "));
  const volume = ({ shape }: any) => shape.split(" x ").reduce((m: number, n: string) => m * +n, 1);
  const most = Math.max(...products.map(volume));
  // Several are the largest: a layer's products, forward and backward.
  for (const { op, kernel, shape, gflops } of products.filter((p: any) => volume(p) === most)) {
    const what = `largest product in ${dtype}: ${op} ${shape} by ${kernel}`;
    const speed = `${digits(gflops / 1e3)} TFLOP/s`;
    const share = gflops / peak;
    if (dtype === "f16") row(what, speed, "150 TFLOP/s", gflops >= 150e3);
    else row(what, `${speed}, ${percent(share)} of the peak`, "60 %", share >= 0.6);
  }
  row(`a product of 4096³ in ${dtype}`, `${digits(ceilings.gflops / 1e3)} TFLOP/s`);
  const { gpu_ms_per_step, ms_per_step } = result;
  if (gpu_ms_per_step !== null) {
    row(`${preset}, ${dtype}, a step by the GPU's clock`, `${digits(gpu_ms_per_step)} ms`);
  }
  row(`${preset}, ${dtype}, a step by the wall clock`, `${digits(ms_per_step)} ms`);
  row("copy bandwidth", `${count(Math.round(ceilings.gb_per_s))} GB/s`);
}

/** What PyTorch is asked for beside each dtype, and what that is called. */
const torchModes = { f32: ["fp32", "fp32 eager"], f16: ["bf16-compile", "bf16 compiled"] } as const;

/** PyTorch at the preset's sizes; its JSON line. */
async function torchLine(values: Values, preset: string, dtype: "f32" | "f16"): Promise<any> {
  const sizes = Object.entries(sizesOf(preset)).map(([name, size]) => `--${name} ${size}`);
  const command = [`${values.torch} ${sizes.join(" ")} --modes ${torchModes[dtype][0]}`];
  const { stdout, stderr } = await execute({ name: "PyTorch", command, shell: true });
  const [line] = jsonLines(stdout);
  if (line === undefined || line.error) {
    throw new Error(`PyTorch: ${line?.error ?? lastWords(stderr) ?? "it printed no JSON line"}`);
  }
  return line;
}

/** PyTorch beside what was measured before. */
async function torch({ row, results, values, of }: Bench, dtype: "f32" | "f16"): Promise<void> {
  const { preset } = values;
  const ours = of(dtype === "f32" ? "kernels" : "kernels_half").line;
  if (dtype === "f16" && ours) {
    const gain = ours.tokens_per_s / of("kernels").line?.tokens_per_s;
    if (gain) row(`${preset}, f16 against f32`, `${gain.toFixed(2)}×`, "3×", gain >= 3);
  }
  if (values.torch === undefined) return row("PyTorch", "no --torch to run");
  const theirs = (results.line = await torchLine(values, preset, dtype));
  beside(row, preset, dtype, ours, theirs, dtype === "f32" ? 0.9 : 0.6);
}

function beside(
  row: Bench["row"],
  preset: string,
  dtype: "f32" | "f16",
  ours: any,
  theirs: any,
  least: number,
): void {
  const words = torchModes[dtype][1];
  row(`${preset}, PyTorch ${words}, tokens/s`, count(Math.round(theirs.tokens_per_s)));
  if (!ours) return;
  const ratio = ours.tokens_per_s / theirs.tokens_per_s;
  const what = `${preset}, ${dtype}`;
  row(`${what} against PyTorch ${words}`, `${ratio.toFixed(2)}×`, `${least}×`, ratio >= least);
  const less = ours.peak_bytes <= theirs.peak_bytes;
  const torchBytes = `PyTorch's ${bytes(theirs.peak_bytes)}`;
  row(`${what}, peak GPU memory`, bytes(ours.peak_bytes), torchBytes, less);
}

async function gpt2({ row, results, values, of }: Bench, dtype: "f32" | "f16"): Promise<void> {
  if (of("features").software) return row("gpt2", "too large for a GPU in software");
  const flags = ["--preset", "gpt2", "--dtype", dtype, "--device", "webgpu"];
  const [line] = await ownJson("bench", flags);
  results.line = line;
  row(`gpt2, ${dtype}, tokens/s`, count(Math.round(line.tokens_per_s)));
  if (values.torch === undefined) return;
  beside(row, "gpt2", dtype, line, await torchLine(values, "gpt2", dtype), 0.5);
}

async function microgpt({ row, results, values, scratch }: Bench): Promise<void> {
  const steps = Number(values.steps);
  /** Microseconds a step. */
  const train = async (batch_size: number) => {
    const sizes = ["--batch-size", `${batch_size}`, "--steps", values.steps, "--device", "webgpu"];
    const quiet = ["--log-every", values.steps, "--num-samples", "0", "--output", scratch];
    const end = (await ownJson("train", [...sizes, ...quiet])).at(-1);
    rmSync(scratch, { recursive: true, force: true });
    results[`batch ${batch_size}`] = end;
    return (end.seconds / steps) * 1e6;
  };
  const one = await train(1);
  row("microgpt, batch 1", `${digits(one)} µs a step`, "20 µs", one <= 20);
  const sixteen = (await train(16)) / 16;
  row("microgpt, batch 16", `${digits(sixteen)} µs a sample`, "3 µs", sixteen <= 3);
}

async function sweep({ row, results, values, scratch }: Bench): Promise<void> {
  for (const models of [132, 396]) {
    const flags = ["--seed", `1..${models}`, "--steps", values.steps, "--output", scratch];
    const end = (await ownJson("sweep", [...flags, "--device", "webgpu"])).at(-1);
    rmSync(scratch, { recursive: true, force: true });
    results[models] = end;
    const speed = end.model_steps_per_s;
    const measured = `${digits(speed / 1e6)} M model-steps/s`;
    row(`sweep of ${models} models`, measured, "5 M", speed >= 5e6);
  }
}

async function start({ row, results }: Bench): Promise<void> {
  const warm = (results.warm = await firstLossSeconds("warm"));
  row("process start to first loss, warm driver cache", `${digits(warm)} s`, "2 s", warm <= 2);
  const cold = (results.cold = await firstLossSeconds("cold"));
  row("process start to first loss, cold shader caches", `${digits(cold)} s`);
}

const VALIDATION_STEPS = 500;

async function validation({ row, results, values, scratch }: Bench): Promise<void> {
  if (values.text === undefined) return row("validation losses", "no --text to train on");
  const data = ["--input", values.text, "--format", "text", "--val-fraction", "0.1"];
  const run = `--preset ${values.preset} --steps ${VALIDATION_STEPS} --log-every ${VALIDATION_STEPS} --num-samples 0 --device webgpu`;
  const losses: number[] = [];
  for (const dtype of ["f32", "f16"]) {
    const flags = [...data, ...run.split(" "), "--dtype", dtype];
    const end = (await ownJson("train", [...flags, "--output", join(scratch, dtype)])).at(-1);
    results[dtype] = end;
    losses.push(end.val_loss);
    const what = `${values.preset}, ${dtype}, validation loss after ${VALIDATION_STEPS} steps`;
    row(what, `${end.val_loss.toFixed(4)}, ${digits(end.seconds)} s`);
  }
  const apart = Math.abs(losses[1] / losses[0] - 1);
  row("f16's validation loss against f32's", percent(apart), "1 %", apart <= 0.01);
}

/** All of doctor in one process, which is what a user runs. */
async function certificate({ row, results }: Bench): Promise<void> {
  const start = performance.now();
  const end = (await ownJson("doctor", [], false)).at(-1);
  results.end = end;
  const seconds = digits((performance.now() - start) / 1000);
  row("doctor, whole", `${end.passed} passed, ${end.failed} failed, ${seconds} s`);
}
