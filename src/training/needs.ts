// What training and generating with a model will need, before anything of it is allocated.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { ALIGNMENT, sizeOf, type Tensor, type TensorSpec } from "../device/tensors.ts";
import { activationTable, forwardList } from "../model/gpu_gpt.ts";
import { GpuOps } from "../model/gpu_ops.ts";
import { hostBytes } from "../model/memory.ts";
import {
  type Dims,
  PARAMETER_ALIGNMENT,
  ParameterLayout,
  parameterCount,
} from "../model/parameters.ts";
import { READBACK, stepList, trainingTable } from "./gpu_trainer.ts";

/** Bytes of the device's memory, and of main memory; on the CPU all of it is main memory. */
interface Bytes {
  device_bytes: number;
  host_bytes: number;
  cpu_bytes: number;
}

export interface Needs {
  num_params: number;
  /** Floating-point operations that a token costs in training: 6 a weight, and attention's products. */
  flops_per_token: number;
  training: Bytes;
  generation: Bytes;
}

/** What every GPU offers that is not a toy; a smaller one takes a few dispatches more. */
const usualGpu = {
  info: {},
  lanes: 32,
  features: [],
  gpu: {
    limits: {
      maxBufferSize: 2 ** 31,
      maxStorageBufferBindingSize: 2 ** 31,
      maxComputeWorkgroupsPerDimension: 65535,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 2 ** 15,
    },
  },
} as unknown as Device;

/** @param device the GPU, if it is known already */
export function needsOf(config: Config, dims: Dims, device = usualGpu): Needs {
  const B = config.batch_size;
  const training = byLayers(dims, (d) => trainingBytes(config, d, device));
  const generation = byLayers(dims, (d) => generationBytes(config, d, device));
  const num_params = parameterCount(dims);
  return {
    num_params,
    flops_per_token: flopsPerToken(dims),
    training: {
      device_bytes: training,
      host_bytes: hostBytes(dims, B, "webgpu"),
      cpu_bytes: hostBytes(dims, B, "cpu"),
    },
    generation: {
      device_bytes: generation,
      host_bytes: hostBytes(dims, 1, "webgpu"),
      cpu_bytes: byLayers(dims, (d) => 8 * (parameterCount(d) + elements(activationTable(d, 1)))),
    },
  };
}

/** Floating-point operations of training on one token: 6 a weight, and attention's products. */
export function flopsPerToken(dims: Dims): number {
  const { V, T, C, L } = dims;
  const looked_up = (V + T) * C; // the embeddings' rows are copied, not multiplied
  return 6 * (parameterCount(dims) - looked_up) + 6 * L * C * T;
}

/** Layers whose tables are written out; beyond, each further layer costs what the last one did. */
const MOST_LAYERS = 128;

/** An absurd number of layers, as a typing error makes it, takes no endless table. */
function byLayers(dims: Dims, bytes: (dims: Dims) => number): number {
  if (dims.L <= MOST_LAYERS) return bytes(dims);
  const most = bytes({ ...dims, L: MOST_LAYERS });
  const last = most - bytes({ ...dims, L: MOST_LAYERS - 1 });
  return most + (dims.L - MOST_LAYERS) * last;
}

/** Of all buffers that GpuTrainer holds. */
function trainingBytes(config: Config, dims: Dims, device: Device): number {
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const table = trainingTable(dims, config.batch_size);
  const { length } = stepList(device, config, layout, unallocated(table));
  return bytesOf(table) + length * ALIGNMENT + READBACK.size * READBACK.depth;
}

/** Of all buffers that GpuPredictor holds with weights of its own, and of one readback. */
function generationBytes(config: Config, dims: Dims, device: Device): number {
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const table = [
    { name: "params", shape: [layout.size] },
    { name: "ids", shape: [dims.T] },
    ...activationTable(dims, 1),
  ];
  const tensors = unallocated(table);
  const { params, ids } = tensors;
  const ops = new GpuOps(device);
  const { length } = forwardList({ ops, config, dims, B: 1, layout, tensors, params }, ids);
  return bytesOf(table) + length * ALIGNMENT + dims.V * 4;
}

function elements(table: readonly TensorSpec[]): number {
  return table.reduce((sum, spec) => sum + sizeOf(spec), 0);
}

function bytesOf(table: readonly TensorSpec[]): number {
  return 4 * elements(table);
}

/** Tensors to make lists of dispatches with, that are never run. */
function unallocated(table: readonly TensorSpec[]): Record<string, Tensor> {
  const buffer = undefined as unknown as GPUBuffer;
  return Object.fromEntries(
    table.map((spec) => [spec.name, { ...spec, buffer, offset: 0, size: sizeOf(spec) * 4 }]),
  );
}
