// How much a run computes, and roughly how long that takes where no hardware does it.

import { platform } from "#platform";
import type { Config } from "../config.ts";
import type { Estimate } from "../device/choose.ts";
import { frozenDims } from "./adapters.ts";
import { MUON_ITERATIONS, muonMatrices } from "./optimizer_state.ts";
import { type Dims, ParameterLayout, parameterCount } from "./parameters.ts";

/** Floating-point operations a second of the reference… */
const CPU_FLOPS = 1.5e9;
/** …and of each core that a GPU in software has. */
const SOFTWARE_FLOPS = 8e9;
/** …and of one core in a model that fits a workgroup, whose steps are one dispatch. */
const SMALL_FLOPS = 0.7e9;
/** Seconds that it compiles for where no cache has its kernels… */
const COMPILE_S = 6;
/** …and that a step or a forward pass takes beside its operations. */
const TURN_S = 0.001;

export interface Work {
  /** Floating-point operations. */
  flops: number;
  /** Steps and forward passes. */
  turns: number;
}

/**
 * Floating-point operations of training on one token: 6 a weight, of a frozen one 4, and attention's products.
 */
export function flopsPerToken(dims: Dims): number {
  const { T, NH, HS, L, adapters } = dims;
  const attention = 6 * L * NH * HS * T;
  if (!adapters) return 6 * multiplied(dims) + attention;
  return 4 * multiplied(frozenDims(dims)) + 6 * parameterCount(dims) + attention;
}

/** Of a forward pass alone. */
function flopsOfReading(dims: Dims): number {
  return flopsPerToken(frozenDims(dims)) / 3;
}

/** Weights that a token is multiplied by. */
function multiplied(dims: Dims): number {
  const { V, T, C } = dims;
  // The embeddings' rows are copied, not multiplied; but wte is, where it is the head too.
  const looked_up = (dims.lm_head ? V * C : 0) + (dims.wpe ? T * C : 0);
  return parameterCount(dims) - looked_up;
}

/** Floating-point operations of an update, whatever the batch: the products that make Muon's matrices orthogonal. */
function flopsPerUpdate(config: Pick<Config, "optimizer">, dims: Dims): number {
  const matrices = muonMatrices(config, new ParameterLayout({ ...dims, L: 1 }));
  const products = matrices.map(({ n, k }) => 4 * n * n * k + 2 * n ** 3);
  return dims.L * MUON_ITERATIONS * products.reduce((sum, flops) => sum + flops, 0);
}

/**
 * Of steps with their validations and samples.
 * @param length tokens of a document or window, on the average
 * @param validated tokens of a validation
 */
export function trainingWork(
  config: Pick<
    Config,
    "batch_size" | "grad_accumulation" | "optimizer" | "eval_every" | "num_samples"
  >,
  dims: Dims,
  { steps, length, validated }: { steps: number; length: number; validated: number },
): Work {
  const { batch_size, grad_accumulation, eval_every, num_samples } = config;
  const tokens = batch_size * grad_accumulation * length;
  const validations = validated > 0 ? 1 + (eval_every > 0 ? steps / eval_every : 0) : 0;
  const texts = writingWork(dims, num_samples, length);
  const read = validations * validated;
  return {
    flops:
      flopsPerToken(dims) * steps * tokens +
      flopsOfReading(dims) * read +
      steps * flopsPerUpdate(config, dims) +
      texts.flops,
    turns: steps * grad_accumulation + read / (batch_size * length) + texts.turns,
  };
}

/** Of so many texts; a token is a forward pass of its own. */
export function writingWork(dims: Dims, num_samples: number, length: number): Work {
  const tokens = num_samples * length;
  return { flops: flopsOfReading(dims) * tokens, turns: tokens };
}

/** @param works of models that may be trained at the same time where they are small */
export function estimate(works: readonly Work[]): Estimate {
  const sum = (name: keyof Work) => works.reduce((total, work) => total + work[name], 0);
  const [flops, cores] = [sum("flops"), platform.cores()];
  const general = TURN_S * sum("turns") + flops / (SOFTWARE_FLOPS * cores);
  const small = flops / (SMALL_FLOPS * Math.min(cores, works.length));
  return { cpu: flops / CPU_FLOPS, software: COMPILE_S + Math.min(general, small) };
}
