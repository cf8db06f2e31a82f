// What `bench` prints: a JSON line for programs, aligned tables for people.

import { platform } from "#platform";
import type { BenchmarkResult, Profile } from "../src/verify/benchmark.ts";
import type { Needs } from "../src/training/needs.ts";
import type { OperationCost } from "../src/verify/measure.ts";
import type { SuiteResult } from "../src/verify/suite.ts";
import { MEMORY_NAME } from "../src/tuning/memory.ts";
import type { Tuning } from "../src/tuning/tune.ts";
import { aligned, bytes, digits, percent } from "./format.ts";
import { count, plural } from "../src/count.ts";
import type { Output } from "./run.ts";

type Result = BenchmarkResult & { peer: string };
type Report = (
  out: Output,
  result: Result,
  profile?: Profile,
  /** What to explain; null where the model has a trainer without choices. */
  tuning?: Tuning | null,
) => void;

/** Numbers to the digits that a measurement has; losses in full. */
export const jsonReport: Report = (out, result, profile, tuning) => {
  const exact = new Set<string>(["loss_first", "loss_last"]);
  const rounded = (key: string, value: unknown) =>
    typeof value === "number" && !exact.has(key) && !Number.isInteger(value)
      ? Number(value.toPrecision(6))
      : value;
  out.write(
    `${JSON.stringify({ ...result, ...profile, ...(tuning !== undefined && { tuning }) }, rounded)}\n`,
  );
};

export const humanReport: Report = (out, result, profile, tuning) => {
  out.write(`${summary(result)}\n`);
  if (profile !== undefined) out.write(`\n${table(profile)}\n`);
  if (tuning !== undefined) out.write(`\n${explanation(tuning)}\n`);
};

/** What a run will need, told before it. */
export function needsRow({ f32, f16 }: Needs["dtype_bytes"]): string {
  return `${"needs".padEnd(12)}${bytes(f32)} of GPU memory, with --dtype f16 ${bytes(f16)}\n`;
}

function summary(result: Result): string {
  const { mode, engine, adapter, layers, embd, heads, block, batch, vocab, params, steps } = result;
  const rows = [
    ["device", mode === "webgpu" ? `WebGPU: ${adapter}` : "CPU, in float64"],
    ...(engine === "small" ? [["engine", "for small models: many steps a dispatch"]] : []),
    [
      "model",
      `${plural(params, "parameter")}: ${plural(layers, "layer")}, ${plural(embd, "channel")}, ` +
        `${plural(heads, "head")}, context ${count(block)}, batch ${count(batch)}, vocabulary ${count(vocab)}`,
    ],
    ...dtypeRow(result),
    ["first step", `${digits(result.first_step_ms)} ms, with compilation`],
    ["step", `${digits(result.ms_per_step)} ms, median over ${plural(steps, "step")}`],
    ["tokens/s", count(Math.round(result.tokens_per_s))],
    ["GFLOP/s", `${digits(result.gflops)}${ofPeak(result.peak_fraction)}`],
    ["loss", `${result.loss_first.toFixed(4)} at first, ${result.loss_last.toFixed(4)} at last`],
  ];
  if (mode === "webgpu") {
    const { dispatches_per_step, submits_per_step, gpu_ms_per_step, peak_bytes } = result;
    const submits = submits_per_step === 1 ? "1 submit" : `${digits(submits_per_step!)} submits`;
    const commands = `${digits(dispatches_per_step!)} dispatches and ${submits} a step`;
    if (gpu_ms_per_step !== null) {
      rows.push(["GPU", `${digits(gpu_ms_per_step)} ms a step at best, by its own clock`]);
    }
    rows.push(["commands", commands], ["memory", `${bytes(peak_bytes!)} of buffers at most`]);
  }
  return rows.map(([name, text]) => `${name.padEnd(12)}${text}`).join("\n");
}

function dtypeRow({ dtype, dtype_reason }: Result): string[][] {
  if (dtype_reason !== null) return [["dtype", dtype_reason]];
  return dtype === "f16" ? [["dtype", "f16 between products, sums in f32"]] : [];
}

function ofPeak(fraction: number | null): string {
  return fraction === null ? "" : `, ${percent(fraction)} of what a large product reaches here`;
}

/** The operations, the one that takes longest first. */
function table({ ceilings, operations }: Profile): string {
  const head = [
    "operation",
    "shape",
    "calls",
    "ms each",
    "ms",
    "of step",
    "GFLOP/s",
    "GB/s",
    "of best",
  ];
  const rows = operations.toSorted((a, b) => b.share - a.share).map(cells);
  const total = operations.reduce((sum, { ms, calls }) => sum + ms * calls, 0);
  const calls = operations.reduce((sum, { calls }) => sum + calls, 0);
  const all = ["all", "", count(calls), "", digits(total), "", "", "", ""];
  const best = [
    "best here",
    "",
    "",
    "",
    "",
    "",
    digits(ceilings.gflops),
    digits(ceilings.gb_per_s),
    "",
  ];
  return aligned([head, ...rows, all, best], 2);
}

function cells({ op, shape, calls, ms, share, gflops, gb_per_s, of_ceiling }: OperationCost) {
  const rate = (value: number | null) => (value === null ? "" : digits(value));
  return [
    op,
    shape,
    count(calls),
    digits(ms),
    digits(ms * calls),
    percent(share),
    rate(gflops),
    rate(gb_per_s),
    percent(of_ceiling),
  ];
}

const REASONS = {
  rule: "by rule",
  measurement: "measured now",
  memory: "as measured before",
  necessity: "the only one",
};

/** The kernel of each product, why, and the fastest of the others that were tried. */
function explanation(tuning: Tuning | null): string {
  if (tuning === null) return "This model's trainer has no choice of kernels.";
  const head = ["product", "M x N x K", "kernel", "chosen", "ms", "next best", "ms"];
  const rows = tuning.choices.map(({ op, M, N, K, variant, by, ms }) => {
    const [next] = Object.entries(ms ?? {})
      .filter(([name]) => name !== variant)
      .toSorted(([, a], [, b]) => a - b);
    const own = ms === null ? "" : digits(ms[variant]);
    const other = next === undefined ? ["", ""] : [next[0], digits(next[1])];
    return [op, `${M} x ${N} x ${K}`, variant, REASONS[by], own, ...other];
  });
  const { id, forgotten, matrix_fault } = tuning;
  const place = platform.memoryPlace(MEMORY_NAME);
  const memory =
    forgotten === null
      ? `What is measured is remembered in ${place}, which may be deleted.`
      : `What was measured could not be remembered in ${place}: ${forgotten}.`;
  const fault = matrix_fault === null ? "" : `\nnote: ${matrix_fault}.`;
  return `${aligned([head, ...rows], 4)}\nchoice ${id}. ${memory}${fault}`;
}

export function suiteTable(benchmarks: readonly SuiteResult[]): string {
  const rows = benchmarks.map(({ name, description, time_ms }) => [
    name,
    description,
    digits(time_ms),
  ]);
  return aligned([["name", "what", "ms"], ...rows], 2);
}
