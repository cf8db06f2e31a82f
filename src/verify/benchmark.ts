// Times training steps as they are: whole, one after the other, nothing read in between.

import type { Device } from "../device/device.ts";
import { Meter } from "../device/meter.ts";
import { hasTimestamps, median, timeSchedules } from "../device/timing.ts";
import { parameterCount } from "../model/parameters.ts";
import { CpuTrainer } from "../training/cpu_trainer.ts";
import { GpuTrainer } from "../training/gpu_trainer.ts";
import { flopsPerToken } from "../training/needs.ts";
import type { Trainer } from "../training/trainer.ts";
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
}

/** The names are those of the scripts that measure other libraries. */
export interface BenchmarkResult {
  mode: "webgpu" | "cpu";
  params: number;
  layers: number;
  embd: number;
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
  /** Of all buffers that lived at once. */
  peak_bytes: number | null;
  /** By the GPU's own clock; null where it has none. */
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
/** Time that the steps take where their number is not given, in ms. */
const ENOUGH_MS = 3000;
const FEWEST = 10;
const MOST = 20_000;

/** @param device the CPU where undefined */
export async function benchmark(
  device: Device | undefined,
  work: Workload,
  options: BenchmarkOptions,
): Promise<{ result: BenchmarkResult; profile: Profile | undefined }> {
  const { config, dims } = work;
  const sequences = randomSequences(work);
  const weights = randomWeights(work);
  const meter = device && new Meter(device);
  const start = performance.now();
  const trainer = device
    ? await GpuTrainer.create(device, config, dims, weights, sequences)
    : new CpuTrainer(config, dims, Float64Array.from(weights), sequences);
  try {
    const run = await timeSteps(trainer, options, start, meter);
    meter?.stop();
    const tokens = config.batch_size * dims.T;
    const gflops = (tokens * flopsPerToken(dims)) / run.ms_per_step / 1e6;
    const gpu = device && (await measureGpu(device, trainer as GpuTrainer, options.kernels));
    return {
      result: {
        mode: device ? "webgpu" : "cpu",
        params: parameterCount(dims),
        layers: dims.L,
        embd: dims.C,
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
        submits_per_step: run.submits_per_step,
        peak_bytes: meter?.peak_bytes ?? null,
        gpu_ms_per_step: gpu?.ms_per_step ?? null,
        peak_fraction: gpu ? gflops / gpu.gflops : null,
        adapter: device?.name ?? null,
      },
      profile: gpu?.profile,
    };
  } finally {
    trainer.destroy();
  }
}

/** Trains, the clock running from `start`. */
async function timeSteps(
  trainer: Trainer,
  { steps, warmup }: BenchmarkOptions,
  start: number,
  meter: Meter | undefined,
) {
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
  const parts = Math.min(PARTS, steps);
  const times: number[] = [];
  const submits = meter?.submits ?? 0;
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
    submits_per_step: meter ? (meter.submits - submits) / steps : null,
  };
}

/** What the GPU says of a trainer's step, once its steps have been timed. */
async function measureGpu(device: Device, { schedule }: GpuTrainer, kernels: boolean) {
  const { dispatches } = schedule;
  const [ms_per_step] = hasTimestamps(device) ? await timeSchedules(device, [schedule], 5) : [null];
  const gflops = await bestProduct(device);
  let profile: Profile | undefined;
  if (kernels) {
    const ceilings = { gflops, gb_per_s: await copyBandwidth(device) };
    const operations = await measureOperations(device, dispatches, ceilings, 5);
    profile = { ceilings, operations };
  }
  return { dispatches: dispatches.length, ms_per_step, gflops, profile };
}
