// What training and generating with a model will need, before anything of it is allocated.

import { platform } from "#platform";
import { isStream } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { Kernels } from "../device/kernels.ts";
import { ALIGNMENT, placeholders, sizeOf, tableBytes, type TensorSpec } from "../device/tensors.ts";
import { frozenDims, mergedConfig } from "../model/adapters.ts";
import { allParameters, hostBytes } from "../model/memory.ts";
import {
  byLayers,
  type Dims,
  PARAMETER_ALIGNMENT,
  ParameterLayout,
  parameterCount,
} from "../model/parameters.ts";
import { packedTokens } from "../small/data.ts";
import { flopsPerToken } from "../model/work.ts";
import { SmallLayout } from "../small/layout.ts";
import { type SmallTuning, smallTuning } from "../small/ops.ts";
import { chooseSmall } from "./choose_trainer.ts";
import { READ_BYTES } from "./gpu_evaluator.ts";
import { CAPACITY } from "./gpu_trainer.ts";
import {
  type BatchTensors,
  SMALL_CAPACITY,
  smallBatchList,
  smallBatchTable,
} from "../small/batch.ts";
import { smallCapacity, smallRunsTable } from "../small/runs.ts";
import { SPREAD_FROM } from "./small_trainer.ts";
import { MOST_STEPS, planTexts, writingSizes } from "../model/text_plan.ts";
import { ownTable } from "../generation/gpu_decoder.ts";
import { isPlain } from "../generation/small_decoder.ts";
import { isLikeMicrogpt } from "../model/engines.ts";
import { smallTextsBytes } from "../small/texts.ts";
import { planEvaluation } from "../model/evaluation_plan.ts";
import { planStep } from "../model/step_plan.ts";
import { activationTable } from "../model/tensor_tables.ts";
import type { Examples } from "../text/batches.ts";
import type { Sequences } from "../text/documents.ts";
import { TokenStream } from "../text/stream.ts";
import { WINDOWS } from "../device/windows.ts";

interface Bytes {
  /** Of the GPU's memory. */
  device_bytes: number;
  /** Of main memory beside it. */
  host_bytes: number;
  /** Of main memory where the CPU does it all. */
  cpu_bytes: number;
}

export interface Needs {
  num_params: number;
  /** Of them those that are trained: all, or the adapters. */
  num_trained: number;
  /** Floating-point operations that a token costs in training: 6 a weight, and attention's products. */
  flops_per_token: number;
  training: Bytes;
  /** Of the GPU's memory in training, with either dtype. */
  dtype_bytes: Record<Config["dtype"], number>;
  /** The same with recompute and without. */
  recompute_bytes: Record<"on" | "off", number>;
  generation: Bytes;
}

/** Bindings that hold all parameters, at most: of an absurd model no endless list is made. */
const MOST_SEGMENTS = 64;

/** What every GPU offers that is not a toy; a smaller one takes a few dispatches more. */
function usualGpu(dims: Dims): Device {
  const most = Math.max(2 ** 31, Math.ceil((allParameters(dims) * 4) / MOST_SEGMENTS));
  const gpu = {
    limits: {
      maxBufferSize: most,
      maxStorageBufferBindingSize: most,
      maxComputeWorkgroupsPerDimension: 65535,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 2 ** 15,
    },
  } as unknown as GPUDevice;
  const kernels = new Kernels(gpu, platform.shaders());
  const { nothing } = placeholders([{ name: "nothing", shape: [4] }]);
  return {
    info: {},
    software: false,
    lanes: 32,
    features: [],
    gpu,
    kernels,
    nothing,
  } as unknown as Device;
}

/**
 * @param examples what is trained on; one document or window as long as the context where that is not known
 * @param device the GPU, if it is known already
 */
export function needsOf(
  config: Config,
  dims: Dims,
  examples = unknownExamples(config, dims),
  device = usualGpu(dims),
): Needs {
  const sequences = examples instanceof TokenStream ? undefined : examples;
  const bytesWith = (changed: Partial<Config>) => {
    const run = { ...config, ...changed };
    const tuning = sequences && chooseSmall(device, run, dims, sequences);
    return tuning
      ? smallBytes(run, dims, sequences, tuning, device)
      : byLayers(dims, (d) => trainingBytes(run, d, device), MOST_LAYERS);
  };
  const dtype_bytes = { f32: bytesWith({ dtype: "f32" }), f16: bytesWith({ dtype: "f16" }) };
  const device_bytes = dtype_bytes[config.dtype];
  const other = bytesWith({ recompute: !config.recompute });
  const [on, off] = config.recompute ? [device_bytes, other] : [other, device_bytes];
  // A model that writes is one without adapters.
  const [plain, whole] = [frozenDims(dims), mergedConfig(config)];
  const generation = byLayers(plain, (d) => generationBytes(whole, d, device), MOST_LAYERS);
  const num_params = allParameters(dims);
  return {
    num_params,
    num_trained: parameterCount(dims),
    flops_per_token: flopsPerToken(dims),
    training: {
      device_bytes,
      host_bytes: hostBytes(config, dims, "webgpu"),
      cpu_bytes: hostBytes(config, dims, "cpu"),
    },
    dtype_bytes,
    recompute_bytes: { on, off },
    generation: {
      device_bytes: generation,
      host_bytes: hostBytes({ ...whole, batch_size: 1 }, plain, "webgpu"),
      cpu_bytes: byLayers(
        plain,
        (d) => 8 * (parameterCount(d) + elements(activationTable(whole, d, 1))),
        MOST_LAYERS,
      ),
    },
  };
}

/** Layers whose tables are written out; beyond, each further layer costs what the last one did. */
const MOST_LAYERS = 128;

function unknownExamples(config: Config, { T }: Dims): Examples {
  const tokens = new Int32Array(T + 1);
  return isStream(config.format) ? new TokenStream(tokens, config) : [tokens];
}

/** Of all buffers that GpuTrainer holds. */
export function trainingBytes(config: Config, dims: Dims, device: Device): number {
  const { table, groups, list, micro, evaluation } = planStep(device, config, dims);
  const tensors = placeholders(table);
  const length = list(tensors).length + micro(tensors).length;
  const validating =
    config.val_fraction > 0 ? evaluation(tensors).length * ALIGNMENT + READ_BYTES : 0;
  return tableBytes(table, groups) + length * ALIGNMENT + WINDOWS * CAPACITY * 8 + validating;
}

/** Of all buffers that GpuEvaluator holds with parameters of its own, and of a readback, theirs or the losses'. */
function evaluationBytes(config: Config, dims: Dims, device: Device): number {
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const { table, groups, dispatches } = planEvaluation(device, config, layout);
  const readback = Math.max(new SmallLayout(dims).size * 4, READ_BYTES);
  return tableBytes(table, groups) + dispatches.length * ALIGNMENT + readback;
}

/** Of all buffers that SmallTrainer holds. */
function smallBytes(
  config: Config,
  dims: Dims,
  sequences: Sequences,
  tuning: SmallTuning,
  device: Device,
): number {
  const validating = config.val_fraction > 0 ? evaluationBytes(config, dims, device) : 0;
  const docs = sequences.length;
  const tokens = packedTokens(sequences);
  if (config.batch_size < SPREAD_FROM) {
    const table = smallRunsTable(dims, { groups: 1, docs, tokens, orders: 1, schedules: 1 });
    return tableBytes(table) + ALIGNMENT + WINDOWS * smallCapacity(1) * 8 + validating;
  }
  const parts = Math.min(config.batch_size, tuning.parts);
  const table = smallBatchTable(dims, { parts, docs, tokens });
  const sizes = { docs, parts, size: new SmallLayout(dims).size };
  const tensors = placeholders(table) as BatchTensors;
  const { length } = smallBatchList(device, config, dims, tensors, sizes, tuning);
  return tableBytes(table) + length * ALIGNMENT + WINDOWS * SMALL_CAPACITY * 8 + validating;
}

/** Of all buffers that createDecoder()'s holds, for texts as the config has them. */
function generationBytes(config: Config, dims: Dims, device: Device): number {
  const small = isLikeMicrogpt(config) && smallTuning(device, dims) !== undefined;
  if (!small) return decoderBytes(config, dims, device);
  const plain = isPlain(config) && config.max_tokens <= dims.T;
  return smallTextsBytes(dims) + (plain ? 0 : decoderBytes(config, dims, device));
}

/** Of those that GpuDecoder holds with weights of its own. */
function decoderBytes(config: Config, dims: Dims, device: Device): number {
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const sizes = writingSizes(config);
  const { table, dispatches } = planTexts(device, config, layout, sizes);
  const tensors = tableBytes(table) + tableBytes(ownTable(layout, sizes.dtype));
  return tensors + dispatches.length * ALIGNMENT + MOST_STEPS * sizes.num_slots * 4;
}

function elements(table: readonly TensorSpec[]): number {
  return table.reduce((sum, spec) => sum + sizeOf(spec), 0);
}
