// Which trainer serves: the CPU's, the one for models that fit a workgroup and train on documents, or the
// general one.

import { isHalf } from "../choices.ts";
import type { Config, ReadConfig } from "../config.ts";
import type { Device } from "../device/device.ts";
import { type Preparation, teller } from "../device/prepare.ts";
import { ConfigError } from "../errors.ts";
import { type EngineConfig, isLikeMicrogpt } from "../model/engines.ts";
import { type Dims, parameterCount } from "../model/parameters.ts";
import { MAX_FLOAT_INTEGER, packedTokens } from "../small/data.ts";
import { smallTuning, type SmallTuning } from "../small/ops.ts";
import type { Examples } from "../text/batches.ts";
import { positionsAt } from "../text/documents.ts";
import { Conversations } from "../text/conversations.ts";
import { TokenStream } from "../text/stream.ts";
import { tune, type TuneOptions } from "../tuning/tune.ts";
import { CpuTrainer } from "./cpu_trainer.ts";
import { GpuTrainer } from "./gpu_trainer.ts";
import { SPREAD_FROM, SmallTrainer } from "./small_trainer.ts";
import type { Trainer } from "./trainer.ts";

/**
 * Parameters times tiles of four positions that a workgroup takes in a step, for each layer and one more:
 * up to here it was never slower than the general trainer's dispatches, whose number grows with the layers.
 * Measured on software GPUs, where one workgroup has one core and the general trainer has all of them.
 */
const SOFTWARE_WORK = 24_000;
/** The same where parameters are in workgroup memory and attention has work for all lanes. */
const SOFTWARE_WORK_AT_BEST = 3 * SOFTWARE_WORK;
/** Hardware starts dispatches no faster, but computes many times as fast. */
const HARDWARE_WORK = 200_000;

/** Workgroups that run at once, at least. */
const SOFTWARE_CORES = 2;
const HARDWARE_CORES = 16;

export interface TrainerOptions extends Preparation {
  /** Of the general trainer's products. */
  tuning?: TuneOptions;
  /** Of a model with adapters the other weights, flat in their table's order without gaps. */
  frozen?: Float32Array | Float64Array;
}

/**
 * @param device undefined for the CPU
 * @param params flat, in the table's order without gaps; the CPU's trainer updates them in place
 * @throws TensorTooLargeError before anything is allocated
 * @throws ConfigError if the device cannot train with the dtype
 */
export async function createTrainer(
  device: Device | undefined,
  config: Config,
  dims: Dims,
  params: Float64Array,
  examples: Examples,
  { tuning = {}, frozen, ...preparation }: TrainerOptions = {},
): Promise<Trainer> {
  if (isHalf(config.dtype)) checkHalf(device);
  if (!device) {
    return new CpuTrainer(config, dims, params, examples, frozen && Float64Array.from(frozen));
  }
  if (!(examples instanceof TokenStream)) {
    const small = chooseSmall(device, config, dims, examples);
    if (small) {
      return SmallTrainer.create(device, config, dims, params, examples, small, preparation);
    }
  }
  const progress = teller("measure", preparation.progress);
  const tuned = await tune(device, config, dims, { ...tuning, progress });
  return GpuTrainer.create(device, config, dims, params, examples, tuned, preparation, frozen);
}

/** @throws ConfigError if nothing can be kept in f16 there, with advice */
export function checkHalf(device: Device | undefined, advice = "Choose dtype f32."): void {
  const obstacle = whyNotHalf(device);
  if (obstacle === null) return;
  throw new ConfigError(
    "dtype",
    `With dtype f16 a GPU keeps activations and weights in half precision, but ${obstacle}. ${advice}`,
  );
}

/** Why nothing can be kept in f16; null where it can. */
export function whyNotHalf(device: Device | undefined): string | null {
  if (!device) return "the CPU trains in float64";
  if (device.features.includes("shader-f16")) return null;
  return `${device.name} does not offer f16 to WebGPU (shader-f16)`;
}

type SmallChoice = EngineConfig &
  Pick<ReadConfig, "batch_size" | "dtype" | "optimizer" | "grad_accumulation">;

/**
 * How one workgroup trains the model; undefined where it does not fit, or where that would be slower, and on the CPU.
 * @param models of this shape that are trained at once; the general trainer takes one after the other
 */
export function chooseSmall(
  device: Device | undefined,
  config: SmallChoice,
  dims: Dims,
  sequences: Examples,
  models = 1,
): SmallTuning | undefined {
  const { batch_size, dtype, optimizer, grad_accumulation } = config;
  if (!device || sequences instanceof TokenStream || !isLikeMicrogpt(config)) return undefined;
  if (sequences instanceof Conversations) return undefined; // of which it would learn all
  const tuning = smallTuning(device, dims);
  if (isHalf(dtype)) return undefined; // one workgroup keeps all in f32
  if (optimizer !== "adamw" || grad_accumulation > 1) return undefined; // and knows no other
  if (tuning === undefined || sequences.length > MAX_FLOAT_INTEGER) return undefined;
  const { maxBufferSize, maxStorageBufferBindingSize } = device.gpu.limits;
  const bytes = Math.max(4 * packedTokens(sequences), 8 * sequences.length); // tokens, and where each is
  if (bytes > Math.min(maxBufferSize, maxStorageBufferBindingSize)) return undefined;
  let tiles = 0;
  for (let d = 0; d < sequences.length; d++) tiles += Math.ceil(positionsAt(sequences, d) / 4);
  const perDocument = (parameterCount(dims) * tiles) / sequences.length;
  const { software } = device;
  const spread = batch_size >= SPREAD_FROM && !software && models === 1;
  const documents = spread ? Math.ceil(batch_size / tuning.parts) : batch_size;
  const limit = (software ? softwareWork(tuning, dims) : HARDWARE_WORK) * (dims.L + 1);
  const together = Math.min(models, software ? SOFTWARE_CORES : HARDWARE_CORES);
  return perDocument * documents <= limit * together ? tuning : undefined;
}

function softwareWork({ X, shared }: SmallTuning, { NH }: Dims): number {
  return shared && 2 * NH >= X ? SOFTWARE_WORK_AT_BEST : SOFTWARE_WORK;
}
