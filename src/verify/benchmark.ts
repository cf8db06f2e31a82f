// Times training steps as they are: whole, one after the other, nothing read in between.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { type Preparation, teller } from "../device/prepare.ts";
import { Meter } from "../device/meter.ts";
import { hasTimestamps, median, timeSchedules } from "../device/timing.ts";
import { parameterCount } from "../model/parameters.ts";
import { flopsPerToken } from "../model/work.ts";
import { chooseDtype } from "../training/choose_dtype.ts";
import { checkHalf, chooseSmall, createTrainer } from "../training/choose_trainer.ts";
import { GpuTrainer } from "../training/gpu_trainer.ts";
import { type Needs, needsOf } from "../training/needs.ts";
import type { Trainer } from "../training/trainer.ts";
import { tune, type TuneOptions, type Tuning } from "../tuning/tune.ts";
import {
  bestProduct,
  type Ceilings,
  copyBandwidth,
  measureOperations,
  type OperationCost,
} from "./measure.ts";
import { randomSequences, randomWeights, type Workload } from "./workload.ts";

export interface BenchmarkOptions {
  /** Steps to time; as many as fill a few seconds where absent. */
  steps?: number;
  /** Steps before them. */
  warmup: number;
  /** Whether to time every operation too. */
  kernels: boolean;
  /** How the general trainer's products are chosen. */
  tuning?: TuneOptions;
  /** Told how far the benchmark is with what it compiles and measures before. */
  progress?: Preparation["progress"];
}

/** The names are those of the scripts that measure other libraries. */
export interface BenchmarkResult {
  mode: "webgpu" | "cpu";
  /** The trainer that served: for models of any size, for small ones, or the CPU's. */
  engine: "general" | "small" | "reference";
  params: number;
  layers: number;
  embd: number;
  dtype: Config["dtype"];
  /** Which dtype `auto` is here, and why: "f32: …"; null where the dtype was asked for. */
  dtype_reason: string | null;
  heads: number;
  block: number;
  batch: number;
  vocab: number;
  steps: number;
  /** The first step, and the compilation of everything it needs. */
  first_step_ms: number;
  /** Median over parts of the run. */
  ms_per_step: number;
  tokens_per_s: number;
  gflops: number;
  loss_first: number;
  loss_last: number;
  /** What follows is about the GPU, and null on the CPU. */
  dispatches_per_step: number | null;
  submits_per_step: number | null;
  /** Of the GPU's memory, foretold for either dtype; null on the CPU. */
  needed_bytes: Needs["dtype_bytes"] | null;
  /** Of all buffers that lived at once. */
  peak_bytes: number | null;
  /** By the GPU's own clock, the shortest of a few; null where it has none. */
  gpu_ms_per_step: number | null;
  /** gflops as a share of what the engine's own product reaches at a large shape. */
  peak_fraction: number | null;
  adapter: string | null;
}

export interface Profile {
  ceilings: Ceilings;
  operations: OperationCost[];
}

/** Parts of a run whose median is the result, so that one disturbance does not count. */
const PARTS = 5;
/** Steps of a part at least: at its end the GPU runs dry. */
const PART_STEPS = 10;
/** Time that the steps take where their number is not given, in ms. */
const ENOUGH_MS = 3000;
const FEWEST = 10;
const MOST = 20_000;
/** Of what is timed by the GPU's clock. */
const REPETITIONS = 8;

/** Bytes of the GPU's memory that a step needs, before it is run. */
export function neededBytes(device: Device, work: Workload): Needs["dtype_bytes"] {
  const config = { ...work.config, dtype: "f32" as const }; // both are told, whichever is asked for
  return needsOf(config, work.dims, randomSequences(work), device).dtype_bytes;
}

/**
 * With `kernels` the general trainer is measured, however small the model.
 * @throws ConfigError if the device cannot train with the dtype
 * @param device the CPU where undefined
 */
export async function benchmark(
  device: Device | undefined,
  work: Workload,
  options: BenchmarkOptions,
): Promise<{ result: BenchmarkResult; profile: Profile | undefined; tuning: Tuning | null }> {
  const { dims } = work;
  const sequences = randomSequences(work);
  const weights = randomWeights(work);
  const small = options.kernels ? undefined : chooseSmall(device, work.config, dims, sequences);
  const general = device && !small;
  const { config, dtype_reason } = await chooseDtype(device, work.config, small);
  if (isHalf(config.dtype)) checkHalf(device);
  // Measured before the clock starts: it is done once, and remembered.
  const { progress } = options;
  const tuning = general
    ? await tune(device, config, dims, { ...options.tuning, progress: teller("measure", progress) })
    : null;
  const meter = device && new Meter(device);
  const start = performance.now();
  const trainer = general
    ? await GpuTrainer.create(device, config, dims, weights, sequences, tuning, { progress })
    : await createTrainer(device, config, dims, weights, sequences, { progress });
  try {
    const run = await timeSteps(trainer, options, start);
    const gpu = device && {
      ...(await countCommands(device, trainer, run.steps)),
      peak_bytes: meter!.stop().peak_bytes,
      clock: trainer instanceof GpuTrainer ? await timeByClock(device, trainer) : null,
      gflops: await bestProduct(device, config.dtype),
    };
    const tokens = config.batch_size * dims.T;
    const gflops = (tokens * flopsPerToken(dims)) / run.ms_per_step / 1e6;
    const result: BenchmarkResult = {
      mode: device ? "webgpu" : "cpu",
      engine: device ? (general ? "general" : "small") : "reference",
      params: parameterCount(dims),
      layers: dims.L,
      embd: dims.C,
      dtype: config.dtype,
      dtype_reason,
      heads: dims.NH,
      block: dims.T,
      batch: config.batch_size,
      vocab: dims.V,
      steps: run.steps,
      first_step_ms: run.first_step_ms,
      ms_per_step: run.ms_per_step,
      tokens_per_s: (tokens / run.ms_per_step) * 1e3,
      gflops,
      loss_first: run.loss_first,
      loss_last: run.loss_last,
      dispatches_per_step: gpu?.dispatches ?? null,
      submits_per_step: gpu?.submits ?? null,
      needed_bytes: device ? neededBytes(device, work) : null,
      peak_bytes: gpu?.peak_bytes ?? null,
      gpu_ms_per_step: gpu?.clock ?? null,
      peak_fraction: gpu ? gflops / gpu.gflops : null,
      adapter: device?.name ?? null,
    };
    const profile =
      gpu && options.kernels && trainer instanceof GpuTrainer
        ? await profileOf(device, trainer, gpu)
        : undefined;
    return { result, profile, tuning };
  } finally {
    trainer.destroy();
  }
}

/** Trains, the clock running from `start`. */
async function timeSteps(trainer: Trainer, { steps, warmup }: BenchmarkOptions, start: number) {
  let loss = 0;
  let done = 0;
  /** Milliseconds that `count` further steps take. */
  const train = async (count: number) => {
    const from = performance.now();
    done += count;
    for await (const record of trainer.run(done)) loss = record.loss;
    return performance.now() - from;
  };
  await train(1);
  const loss_first = loss;
  const first_step_ms = performance.now() - start;
  if (warmup > 1) await train(warmup - 1);

  if (steps === undefined) {
    // Windows of steps grow while they are short: the second try tells more than the first.
    const step = (await train(2)) / 2;
    const more = Math.ceil(Math.min(100 / step, 1000));
    const ms = more > 2 ? (await train(more)) / more : step;
    steps = Math.min(MOST, Math.max(FEWEST, Math.ceil(ENOUGH_MS / ms)));
  }
  const parts = Math.max(1, Math.min(PARTS, Math.floor(steps / PART_STEPS)));
  const times: number[] = [];
  for (let part = 0; part < parts; part++) {
    const count = Math.floor((steps * (part + 1)) / parts) - Math.floor((steps * part) / parts);
    times.push((await train(count)) / count);
  }
  return {
    steps,
    first_step_ms,
    ms_per_step: median(times),
    loss_first,
    loss_last: loss,
  };
}

/** Dispatches and submits of a step, counted over some more of them. */
async function countCommands(device: Device, trainer: Trainer, steps: number) {
  const meter = new Meter(device);
  for await (const _ of trainer.run(trainer.step + steps));
  meter.stop();
  return { dispatches: meter.dispatches / steps, submits: meter.submits / steps };
}

/** Milliseconds of a step by the GPU's own clock. */
async function timeByClock(device: Device, { schedule }: GpuTrainer): Promise<number | null> {
  if (!hasTimestamps(device)) return null;
  return (await timeSchedules(device, [schedule], REPETITIONS))[0];
}

async function profileOf(
  device: Device,
  { schedule }: GpuTrainer,
  { gflops }: { gflops: number },
): Promise<Profile> {
  const ceilings = { gflops, gb_per_s: await copyBandwidth(device) };
  const { dispatches } = schedule;
  const operations = await measureOperations(device, dispatches, ceilings, REPETITIONS);
  return { ceilings, operations };
}
