// A training step, planned before anything is allocated: its tensors, which of them share memory, its dispatches.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { planSharing } from "../device/sharing.ts";
import {
  placeholders,
  sizeOf,
  type Tensor,
  type TensorSpec,
  sliceTensor,
  tableBytes,
} from "../device/tensors.ts";
import { type GpuGpt, backwardList, forwardList, lossList } from "./gpu_gpt.ts";
import { evaluationList } from "./evaluation_plan.ts";
import { type Choices, GpuOps } from "./gpu_ops.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "./parameters.ts";
import { SCALER_FIELDS, SLOTS, StepData } from "./step_data.ts";
import { activationTable, gradientTable } from "./tensor_tables.ts";

/** Gradients that one workgroup of the norm sums. */
const NORM_CHUNK = 8192;
/** Planes of the gradients at most; more would take longer to add up than they save. */
const MOST_PLANES = 8;

/** Steps after which the scale on the gradients is doubled, up to the largest. */
const GROWTH = 2000;

export interface StepPlan {
  layout: ParameterLayout;
  /** Everything that the GPU holds, but for what is made of the schedule's length. */
  table: TensorSpec[];
  /** Names of tensors that are one buffer. */
  groups: string[][];
  /** The whole step: forward, loss, backward, gradient norm, optimizer. */
  list: (tensors: Record<string, Tensor>) => Dispatch[];
  /** The forward pass and the loss alone, on the same tensors, between two steps. */
  evaluation: (tensors: Record<string, Tensor>) => Dispatch[];
}

/** @param product chooses the kernels of products; by rule where absent */
export function planStep(
  device: Device,
  config: Config,
  dims: Dims,
  product?: Choices["product"],
): StepPlan {
  const B = config.batch_size;
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const { dtype } = config;
  const passing = [
    ...activationTable(config, dims, B, dtype),
    ...gradientTable(config, dims, B, dtype),
  ];
  const most = mostPlanes(device, layout.size * 4, tableBytes(passing));
  const ops = new GpuOps(device, {
    planes: most,
    ...(product && { product }),
  });
  const list = (tensors: Record<string, Tensor>) => stepList(device, ops, config, layout, tensors);

  const table = (planes: number) => [...keptTable(layout, B, planes, dtype), ...passing];
  const draft = list(placeholders(table(most)));
  const planes = Math.max(...draft.map(({ sizes }) => sizes.splits ?? 1));
  const final = table(planes);
  const groups = planSharing(device.kernels, list(placeholders(final)), passing);
  const evaluation = (tensors: Record<string, Tensor>) =>
    evaluationList(device, ops, config, layout, tensors);
  return { layout, table: final, groups, list, evaluation };
}

/** What stays from step to step, or comes from outside the step. */
function keptTable(
  layout: ParameterLayout,
  B: number,
  planes: number,
  dtype: Config["dtype"],
): TensorSpec[] {
  const { dims, size } = layout;
  const flat = { shape: [size], sliced: true };
  return [
    { name: "params", ...flat },
    ...(isHalf(dtype) ? [{ name: "weights", ...flat, dtype: "f16" as const }] : []),
    { name: "grads", shape: [planes, size], sliced: true },
    { name: "m", ...flat },
    { name: "v", ...flat },
    { name: "partials", shape: [Math.ceil(size / NORM_CHUNK)] },
    { name: "records", shape: [SLOTS, 2] },
    { name: "scaler", shape: [SCALER_FIELDS] },
    new StepData(B * dims.T, dims.V).spec,
  ];
}

/** Planes that one binding can hold and that take no more than a quarter of what passes through a step. */
function mostPlanes({ gpu }: Device, planeBytes: number, passingBytes: number): number {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
  const bindable = Math.min(maxStorageBufferBindingSize, maxBufferSize) / planeBytes;
  const most = Math.min(bindable, 1 + passingBytes / 4 / planeBytes, MOST_PLANES);
  return 2 ** Math.floor(Math.log2(Math.max(most, 1)));
}

function stepList(
  device: Device,
  ops: GpuOps,
  config: Config,
  layout: ParameterLayout,
  tensors: Record<string, Tensor>,
): Dispatch[] {
  const { dims } = layout;
  const B = config.batch_size;
  const { grads, params, m, v, partials, records, losses, scaler } = tensors;
  const { weights = params } = tensors;
  const gpt: GpuGpt = { ops, config, dims, B, layout, tensors, params, weights, grads, scaler };
  const data = new StepData(B * dims.T, dims.V).slices(tensors.step);
  const { ids, targets, order, starts, step_data } = data;
  const segments = flatSegments(device, params);
  const planes = grads.shape[0];
  return [
    ...forwardList(gpt, ids),
    ...lossList(gpt, targets, step_data),
    ...backwardList(gpt, order, starts),
    ...segments.map((segment) => {
      const { offset, size } = segment;
      const part = planes === 1 ? sliceTensor(grads, segment) : grads;
      return ops.gradientSum(part, partials, scaler, {
        size,
        planes,
        chunk: NORM_CHUNK,
        first: offset / NORM_CHUNK,
      });
    }),
    ops.stepRecord(records, scaler, losses, partials, step_data, {
      N: sizeOf(losses),
      stride: 1,
      chunks: sizeOf(partials),
      growth: isHalf(config.dtype) ? GROWTH : 0,
      ...config,
    }),
    ...segments.map((segment) => {
      const part = (tensor: Tensor) => sliceTensor(tensor, segment);
      const copy = weights === params ? null : part(weights);
      const state = [part(params), part(m), part(v)] as const;
      return ops.adamw(...state, copy, part(grads), records, scaler, step_data, config);
    }),
  ];
}

/** A flat tensor in pieces that a binding can hold; nearly always one. */
function flatSegments(device: Device, flat: Tensor) {
  const { maxStorageBufferBindingSize, maxBufferSize } = device.gpu.limits;
  const most =
    Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4 / NORM_CHUNK) * NORM_CHUNK;
  const total = flat.size / 4;
  return Array.from({ length: Math.ceil(total / most) }, (_, i) => {
    const offset = i * most;
    const size = Math.min(most, total - offset);
    return { name: `${flat.name}[${offset}..]`, shape: [size], offset, size };
  });
}
