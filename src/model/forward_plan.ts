// The forward pass alone, for one sequence, planned before anything is allocated.

import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { planSharing } from "../device/sharing.ts";
import { placeholders, type Tensor, type TensorSpec } from "../device/tensors.ts";
import type { ForwardConfig } from "./forward_config.ts";
import { forwardList } from "./gpu_gpt.ts";
import { GpuOps } from "./gpu_ops.ts";
import type { ParameterLayout } from "./parameters.ts";
import { activationTable } from "./tensor_tables.ts";
import { turnSpecs } from "./turns.ts";

export interface ForwardPlan {
  /** `ids` (T) and `turns`, to be written, `logits` (T, V), to be read, and what lies between them. */
  table: TensorSpec[];
  /** Names of tensors that are one buffer. */
  groups: string[][];
  /** @param tensors the table's, and `params`, flat in the layout's order */
  list: (tensors: Record<string, Tensor>) => Dispatch[];
  /** The same before there are tensors. */
  dispatches: Dispatch[];
}

export function planForward(
  device: Device,
  trained: ForwardConfig,
  layout: ParameterLayout,
): ForwardPlan {
  const { dims } = layout;
  const config = { ...trained, dropout: 0 }; // which is for training alone
  const { logit_softcap: softcap } = config;
  const ops = new GpuOps(device);
  const list = (tensors: Record<string, Tensor>) => {
    const { params, ids } = tensors;
    const gpt = { ops, config, dims, B: 1, layout, tensors, params, weights: params };
    const capped = ops.softcapForward(tensors.logits, { N: dims.T, V: dims.V, softcap });
    return [...forwardList(gpt, ids), ...(softcap > 0 ? [capped] : [])];
  };
  const activations = activationTable(config, dims, 1);
  const table = [{ name: "ids", shape: [dims.T] }, ...turnSpecs(config, dims), ...activations];
  const params = { name: "params", shape: [layout.size] };
  const passing = activations.filter(({ name }) => name !== "logits");
  const dispatches = list(placeholders([...table, params]));
  const groups = planSharing(device.kernels, dispatches, passing);
  return { table, groups, list, dispatches };
}
