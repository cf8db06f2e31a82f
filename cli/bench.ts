// Measures how fast this machine trains.
//
//   npm run bench -- --preset medium --kernels

import { platform } from "#platform";
import type { Config } from "../src/config.ts";
import { chooseDevice } from "../src/device/choose.ts";
import { isPreset, presetNames } from "../src/presets.ts";
import { benchmark, neededBytes } from "../src/verify/benchmark.ts";
import { tuningModes } from "../src/tuning/tune.ts";
import { microgptSuite } from "../src/verify/suite.ts";
import { benchmarkSizes, workload } from "../src/verify/workload.ts";
import { humanReport, jsonReport, needsRow, suiteTable } from "./bench_report.ts";
import { command } from "./command.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import type { Option } from "./options.ts";
import { prepareProgress } from "./progress.ts";
import { type Io, run } from "./run.ts";
import * as options from "./options.ts";

const preset = {
  flag: "preset",
  env: [],
  value: "NAME",
  help: `sizes to start from: ${presetNames}`,
  default: "small",
} satisfies Option;

const vocabSize: Option = { flag: "vocab-size", env: [], value: "N", help: "tokens" };
const steps: Option = {
  flag: "steps",
  env: [],
  value: "N",
  help: "optimizer steps to time; without it, as many as fill 3 seconds",
};
const warmup = {
  flag: "warmup",
  env: [],
  value: "N",
  help: "optimizer steps before them",
  default: "2",
} satisfies Option;
const kernels: Option = { flag: "kernels", env: [], help: "time every operation of a step too" };

const suite: Option = {
  flag: "suite",
  env: [],
  value: "NAME",
  help: "microgpt: instead, the six pieces of work that its translations to other languages time",
};

const sizeOptions = options
  .settingOptions("n_layer", "n_embd", "n_head", "block_size", "batch_size")
  .map((option): Option => ({ ...option, env: [], default: undefined }));

const explain: Option = {
  flag: "explain",
  env: [],
  help: "tell which kernel makes each product, why, and which came next; with --json all that were tried",
};

const [dtype] = options
  .settingOptions("dtype")
  .map((option) => ({ ...option, env: [], default: "f32" as const }) satisfies Option);
const dtypes = ["f32", "f16", "auto"] as const;

const ofSteps = [
  preset,
  options.device,
  options.tuning,
  ...sizeOptions,
  dtype,
  vocabSize,
  steps,
  warmup,
  kernels,
  explain,
];

const description = {
  name: "bench",
  summary: "Times training steps, on random tokens.",
  options: [...ofSteps, suite],
};

export const main = command(description, async (flags, io) => {
  if (flags.text(suite) !== undefined) return runSuite(flags, io);
  const work = workload({
    ...presetOf(flags),
    ...sizesOf(flags),
    dtype: flags.choice(dtype, dtypes),
  });
  const measured = {
    steps: flags.integer(steps, 1),
    warmup: flags.integer(warmup, 1)!,
    kernels: flags.has(kernels),
    tuning: { mode: flags.choice(options.tuning, tuningModes) },
    progress: prepareProgress(io.stderr),
  };
  const { device, fallback } = await chooseDevice(flags.choice(options.device, options.devices));
  if (fallback !== null) io.stderr.write(`The CPU is measured: ${fallback}\n`);
  if (measured.kernels && device === undefined) {
    throw new UsageError(
      `--kernels times operations on the GPU; leave it out, or choose another --device.`,
    );
  }
  const { engine: version } = platform.versions();
  const json = flags.has(options.json);
  if (device && !json) io.stdout.write(needsRow(neededBytes(device, work)));
  const { result, profile, tuning } = await benchmark(device, work, measured);
  const report = json ? jsonReport : humanReport;
  const explained = flags.has(explain) ? tuning : undefined;
  report(io.stdout, { peer: `microgpt-webgpu ${version}`, ...result }, profile, explained);
  return 0;
});

async function runSuite(flags: Flags, { stdout }: Io): Promise<number> {
  if (flags.text(suite) !== "microgpt") {
    throw new UsageError(`There is no suite "${flags.text(suite)}"; the only one is microgpt.`);
  }
  const other = flags.written(ofSteps);
  if (other !== undefined) {
    throw new UsageError(
      `${other} does not go with --suite, whose pieces have their own sizes; leave it out.`,
    );
  }
  const benchmarks = await microgptSuite();
  const { engine: version } = platform.versions();
  const timestamp = new Date().toISOString();
  const all = { language: "typescript", version, timestamp, benchmarks };
  stdout.write(`${flags.has(options.json) ? JSON.stringify(all) : suiteTable(benchmarks)}\n`);
  return 0;
}

function presetOf(flags: Flags) {
  const name = flags.text(preset);
  if (isPreset(name)) return benchmarkSizes(name);
  throw new UsageError(`There is no preset "${name}" to measure; the presets are ${presetNames}.`);
}

/** The sizes that were given in the preset's place. */
function sizesOf(flags: Flags): Partial<Config & { vocab_size: number }> {
  const given: [string, number][] = [];
  for (const option of [...sizeOptions, vocabSize]) {
    const value = flags.integer(option, 1);
    if (value !== undefined) given.push([option.flag.replaceAll("-", "_"), value]);
  }
  return Object.fromEntries(given);
}

if (import.meta.main) await run(main);
