// The forward pass alone, for one sequence, planned before anything is allocated.

import type { Device } from "../../src/device/device.ts";
import type { Dispatch } from "../../src/device/schedule.ts";
import { planSharing } from "../../src/device/sharing.ts";
import { placeholders, type Tensor, type TensorSpec } from "../../src/device/tensors.ts";
import { chunkRows, chunksOf, logitsOf } from "../../src/model/classifier.ts";
import type { ForwardConfig } from "../../src/model/forward_config.ts";
import { forwardList } from "../../src/model/gpu_gpt.ts";
import { GpuOps } from "../../src/model/gpu_ops.ts";
import type { ParameterLayout } from "../../src/model/parameters.ts";
import { activationTable } from "../../src/model/tensor_tables.ts";
import { turnSpecs } from "../../src/model/turns.ts";

interface ForwardPlan {
  /** `ids` (T) and `turns`, to be written, `logits` (rows, V), to be read, and what lies between them. */
  table: TensorSpec[];
  /** Names of tensors that are one buffer. */
  groups: string[][];
  /** Positions whose logits there are at a time: all, unless the vocabulary is large. */
  rows: number;
  /**
   * For each chunk of so many positions, what makes its logits.
   * @param tensors the table's, and `params`, flat in the layout's order
   */
  lists: (tensors: Record<string, Tensor>) => Dispatch[][];
  /** All that is in them, before there are tensors. */
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
  const rows = chunkRows(dims, dims.T, device);
  const lists = (tensors: Record<string, Tensor>) => {
    const { params, ids } = tensors;
    const gpt = { ops, config, dims, B: 1, layout, tensors, params, weights: params };
    const before = forwardList(gpt, ids);
    const capped = ops.softcapForward(tensors.logits, { N: rows, V: dims.V, softcap });
    const after = softcap > 0 ? [capped] : [];
    return chunksOf(gpt).map((chunk) => [...before, logitsOf(gpt, chunk), ...after]);
  };
  const activations = activationTable(config, dims, 1, { rows });
  const table = [{ name: "ids", shape: [dims.T] }, ...turnSpecs(config, dims), ...activations];
  const params = { name: "params", shape: [layout.size] };
  const passing = activations.filter(({ name }) => name !== "logits");
  const planned = lists(placeholders([...table, params]));
  const groups = planSharing(device.kernels, planned[0], passing);
  return { table, groups, rows, lists, dispatches: planned.flat() };
}
