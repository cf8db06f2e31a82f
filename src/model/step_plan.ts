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
import { chunkRows, classifierList, tablePieces } from "./classifier.ts";
import { type GpuGpt, backwardList, forwardList } from "./gpu_gpt.ts";
import { evaluationList } from "./evaluation_plan.ts";
import { type Choices, GpuOps } from "./gpu_ops.ts";
import { frozenOf, frozenTable } from "./linear.ts";
import { momentTable, muonTable, optimizerList } from "./optimizer_list.ts";
import { accumulate } from "./optimizer_ops.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "./parameters.ts";
import { SCALER_FIELDS, SLOTS, StepData } from "./step_data.ts";
import { activationTable, gradientTable } from "./tensor_tables.ts";
import { turnSpecs } from "./turns.ts";

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
  /**
   * The whole step, or of a step in micro-batches the last one: forward, loss, backward, gradient norm, optimizer.
   */
  list: (tensors: Record<string, Tensor>) => Dispatch[];
  /** Each of the micro-batches before: forward, loss, backward, sums; none where there is one. */
  micro: (tensors: Record<string, Tensor>) => Dispatch[];
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
  const rows = chunkRows(dims, B * dims.T, device);
  const passingWith = (recompute: boolean) => [
    ...activationTable(config, dims, B, { dtype, rows, recompute }),
    ...gradientTable(config, dims, B, dtype),
  ];
  const passing = passingWith(config.recompute);
  // With as many planes as without recompute sums have the same order, and so the same bits.
  const most = mostPlanes(device, layout.size * 4, tableBytes(passingWith(false)));
  const ops = new GpuOps(device, {
    planes: most,
    ...(product && { product }),
  });
  const micro = (tensors: Record<string, Tensor>) => batchList(ops, config, layout, tensors);
  const list = (tensors: Record<string, Tensor>) => [
    ...micro(tensors),
    ...updateList(ops, config, layout, tensors),
  ];
  passing.push(...muonTable(config, layout));
  const pieces = tablePieces(device, dims, isHalf(dtype)).length;
  if (pieces > 1) passing.push({ name: "dlast", shape: [rows, dims.C] }); // the last stream's gradient, half-way

  const table = (planes: number) => [...keptTable(layout, config, planes), ...passing];
  const draft = list(placeholders(table(most)));
  const planes = Math.max(...draft.map(({ sizes }) => sizes.splits ?? 1));
  const final = table(planes);
  // No backward pass reads a frozen embedding's rstd, but a validation writes it beside the stream.
  const shared = dims.adapters ? passing.filter(({ name }) => name !== "rstd") : passing;
  const groups = planSharing(device.kernels, list(placeholders(final)), shared);
  const evaluation = (tensors: Record<string, Tensor>) =>
    evaluationList(ops, config, layout, tensors);
  const several = config.grad_accumulation > 1;
  return { layout, table: final, groups, list, micro: several ? micro : () => [], evaluation };
}

/** What stays from step to step, or comes from outside the step. */
function keptTable(layout: ParameterLayout, config: Config, planes: number): TensorSpec[] {
  const { batch_size: B, dtype, grad_accumulation } = config;
  const { dims, size } = layout;
  const N = B * dims.T;
  const flat = { shape: [size], sliced: true };
  const sums = [
    { name: "grad_sums", ...flat },
    { name: "loss_sums", shape: [N] },
  ];
  return [
    { name: "params", ...flat },
    ...(isHalf(dtype) ? [{ name: "weights", ...flat, dtype: "f16" as const }] : []),
    ...frozenTable(dims, isHalf(dtype)),
    { name: "grads", shape: [planes, size], sliced: true },
    ...(grad_accumulation > 1 ? sums : []),
    ...momentTable(config, layout),
    ...turnSpecs(config, dims),
    { name: "partials", shape: [Math.ceil(size / NORM_CHUNK)] },
    { name: "records", shape: [SLOTS, 2] },
    { name: "scaler", shape: [SCALER_FIELDS] },
    new StepData(N, dims.V).spec,
  ];
}

/** Planes that one binding can hold and that take no more than a quarter of what passes through a step. */
function mostPlanes({ gpu }: Device, planeBytes: number, passingBytes: number): number {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
  const bindable = Math.min(maxStorageBufferBindingSize, maxBufferSize) / planeBytes;
  const most = Math.min(bindable, 1 + passingBytes / 4 / planeBytes, MOST_PLANES);
  return 2 ** Math.floor(Math.log2(Math.max(most, 1)));
}

/** Forward, loss, backward; and of a micro-batch what it adds to its step's sums. */
function batchList(
  ops: GpuOps,
  config: Config,
  layout: ParameterLayout,
  tensors: Record<string, Tensor>,
): Dispatch[] {
  const { dims } = layout;
  const { device } = ops;
  const B = config.batch_size;
  const { grads, grad_sums, params, losses, loss_sums, scaler } = tensors;
  const { weights = params } = tensors;
  const frozen = frozenOf(dims, tensors);
  const flat = { params, weights, grads, frozen };
  const gpt: GpuGpt = { ops, config, dims, B, layout, tensors, ...flat, scaler };
  const data = new StepData(B * dims.T, dims.V).slices(tensors.step);
  const { ids, targets, step_data } = data;
  const list = [
    ...forwardList(gpt, ids, step_data),
    ...classifierList(gpt, targets, step_data),
    ...backwardList(gpt, data),
  ];
  if (!grad_sums) return list;
  for (const { segment, part, ...sizes } of gradientParts(device, params, grads)) {
    list.push(accumulate(device, sliceTensor(grad_sums, segment), part, step_data, sizes));
  }
  list.push(accumulate(device, loss_sums, losses, step_data, { size: sizeOf(losses), planes: 1 }));
  return list;
}

/** Gradient norm, record, optimizer. */
function updateList(
  ops: GpuOps,
  config: Config,
  layout: ParameterLayout,
  tensors: Record<string, Tensor>,
): Dispatch[] {
  const { dims } = layout;
  const { device } = ops;
  const { params, partials, records, scaler } = tensors;
  const { grad_sums: grads = tensors.grads, loss_sums: losses = tensors.losses } = tensors;
  const N = config.batch_size * dims.T;
  const { step_data } = new StepData(N, dims.V).slices(tensors.step);
  return [
    ...gradientParts(device, params, grads).map(({ segment, part, ...sizes }) => {
      const place = { chunk: NORM_CHUNK, first: segment.offset / NORM_CHUNK };
      return ops.gradientSum(part, partials, scaler, { ...sizes, ...place });
    }),
    ops.stepRecord(records, scaler, losses, partials, step_data, {
      N,
      stride: 1,
      chunks: sizeOf(partials),
      growth: isHalf(config.dtype) ? GROWTH : 0,
      ...config,
    }),
    ...optimizerList(ops, config, layout, tensors, grads, step_data, mostElements(device)),
  ];
}

/** The gradients as kernels that go through all of them bind them: the planes at once, or the only plane in pieces. */
function gradientParts(device: Device, params: Tensor, grads: Tensor) {
  const planes = grads.shape.length === 1 ? 1 : grads.shape[0];
  return flatSegments(device, params).map((segment) => {
    const part = planes === 1 ? sliceTensor(grads, segment) : grads;
    return { segment, part, size: segment.size, planes };
  });
}

/** A flat tensor in pieces that a binding can hold; nearly always one. */
function flatSegments(device: Device, flat: Tensor) {
  const most = mostElements(device);
  const total = flat.size / 4;
  return Array.from({ length: Math.ceil(total / most) }, (_, i) => {
    const offset = i * most;
    const size = Math.min(most, total - offset);
    return { name: `${flat.name}[${offset}..]`, shape: [size], offset, size };
  });
}

/** Of a flat tensor that a binding can hold. */
function mostElements({ gpu }: Device): number {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
  const bytes = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  return Math.floor(bytes / 4 / NORM_CHUNK) * NORM_CHUNK;
}
