// Validation, planned before anything is allocated: the forward pass of a batch and its loss, nothing else.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { planSharing } from "../device/sharing.ts";
import { placeholders, sizeOf, type Tensor, type TensorSpec } from "../device/tensors.ts";
import { chunkRows, classifierList } from "./classifier.ts";
import type { ForwardConfig } from "./forward_config.ts";
import { forwardList } from "./gpu_gpt.ts";
import { GpuOps } from "./gpu_ops.ts";
import { frozenOf } from "./linear.ts";
import type { ParameterLayout } from "./parameters.ts";
import { SCALER_FIELDS, SLOTS, StepData } from "./step_data.ts";
import { activationTable } from "./tensor_tables.ts";
import { turnSpecs } from "./turns.ts";

type EvaluatedConfig = ForwardConfig & Pick<Config, "batch_size">;

export interface EvaluationPlan {
  /** `params`, flat in the layout's order, `turns`, `step` and `records`, and what lies between them. */
  table: TensorSpec[];
  /** Names of tensors that are one buffer. */
  groups: string[][];
  list: (tensors: Record<string, Tensor>) => Dispatch[];
  /** The same before there are tensors. */
  dispatches: Dispatch[];
}

/** On tensors of its own, for a trainer that has none of the kind. */
export function planEvaluation(
  device: Device,
  config: EvaluatedConfig,
  layout: ParameterLayout,
): EvaluationPlan {
  const { dims } = layout;
  const B = config.batch_size;
  const N = B * dims.T;
  const ops = new GpuOps(device);
  const rows = chunkRows(dims, N, device);
  const activations = activationTable({ ...config, dropout: 0 }, dims, B, { rows });
  const passing = [...activations, { name: "losses", shape: [N] }];
  const table: TensorSpec[] = [
    { name: "params", shape: [layout.size], sliced: true },
    ...turnSpecs(config, dims),
    { name: "records", shape: [SLOTS, 2] },
    { name: "scaler", shape: [SCALER_FIELDS] },
    new StepData(N, dims.V).spec,
    ...passing,
  ];
  const list = (tensors: Record<string, Tensor>) => evaluationList(ops, config, layout, tensors);
  const dispatches = list(placeholders(table));
  const groups = planSharing(device.kernels, dispatches, passing);
  return { table, groups, list, dispatches };
}

/** On a training step's tensors, or on those of the plan above: the mean loss of a batch into its record. */
export function evaluationList(
  ops: GpuOps,
  config: EvaluatedConfig,
  layout: ParameterLayout,
  tensors: Record<string, Tensor>,
): Dispatch[] {
  const { dims } = layout;
  const B = config.batch_size;
  const { params, weights = params, losses, records, scaler } = tensors;
  const { ids, targets, step_data } = new StepData(B * dims.T, dims.V).slices(tensors.step);
  const frozen = frozenOf(dims, tensors);
  const gpt = { ops, config, dims, B, layout, tensors, params, weights, frozen, scaler };
  const sums = { N: sizeOf(losses), stride: 1, chunks: 0, growth: 0, beta1: 0, beta2: 0 };
  return [
    ...forwardList(gpt, ids),
    ...classifierList(gpt, targets, step_data),
    ops.stepRecord(records, scaler, losses, ops.device.nothing, step_data, sums),
  ];
}
