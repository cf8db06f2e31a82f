// The tensors that a training step writes: those of the forward pass, and those of the backward pass. Memory is planned
// by them. Letters: parameters.ts.

import { isRope } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Half, TensorSpec } from "../device/tensors.ts";
import { type ForwardConfig, fusedActivation } from "./forward_config.ts";
import { headParts } from "./head_ops.ts";
import { keptOfAdapters, scratchOfAdapters } from "./linear.ts";
import { type Dims, mlpChannels, qkvChannels } from "./parameters.ts";
import { gainParts } from "./row_ops.ts";

/** What of a step is kept, and as what. */
interface Stored {
  /** Of what goes from product to product; the residual stream, the logits and all statistics are f32. */
  dtype?: Config["dtype"];
  /** Whose logits there are at a time, see classifier.ts. */
  rows?: number;
  /** Whether layers share what they write but for the stream, and each makes it anew for its backward pass. */
  recompute?: boolean;
}

/**
 * What the forward pass writes; what the backward pass reads of it is kept until then.
 */
export function activationTable(
  config: ForwardConfig,
  dims: Dims,
  B: number,
  { dtype = "f32", rows = B * dims.T, recompute = false }: Stored = {},
): TensorSpec[] {
  const { T, C, V, NH, NKV, HS, H, L } = dims;
  const N = B * T;
  const half = halfOf(dtype);
  const turned = config.qk_norm || isRope(config.position);
  const table: TensorSpec[] = [
    ...some(config.embedding_norm, { name: "rstd", shape: [N] }),
    ...some(config.dropout > 0, { name: "encoded", shape: [N, C] }), // the embedding before dropout
    { name: "x", shape: [N, C] }, // the residual stream before the first layer
    ...some(config.final_norm, { name: "lnf", shape: [N, C], ...half }),
    ...some(config.final_norm, { name: "rstdf", shape: [N] }),
    { name: "logits", shape: [rows, V] }, // the backward pass turns them into their gradient
  ];
  const layer = (name: string) => {
    const qkv = { shape: [N, qkvChannels(dims)], ...half };
    const pre = { name: `${name}.pre`, shape: [N, mlpChannels(dims)], ...half };
    return [
      { name: `${name}.ln1`, shape: [N, C], ...half },
      { name: `${name}.rstd1`, shape: [N] },
      { name: `${name}.qkv`, ...qkv },
      ...some(turned, { name: `${name}.heads`, ...qkv }), // q and k normed and turned
      ...some(config.qk_norm, { name: `${name}.rstdh`, shape: [N, NH + NKV] }),
      { name: `${name}.att`, shape: [N, NH * HS], ...half },
      { name: `${name}.stats`, shape: [B, NH, T, 2] },
      { name: `${name}.mid`, shape: [N, C] }, // the stream between attention and MLP
      { name: `${name}.ln2`, shape: [N, C], ...half },
      { name: `${name}.rstd2`, shape: [N] },
      ...some(!fusedActivation(config), pre),
      { name: `${name}.act`, shape: [N, H], ...half },
      ...keptOfAdapters(dims, N, name).map((spec) => ({ ...spec, ...half })),
    ];
  };
  table.push(...typed(scratchOfAdapters(dims, N, "forward"), half));
  if (recompute && L > 0) table.push(...layer("layer"));
  for (let l = 0; l < L; l++) {
    if (!recompute) table.push(...layer(`layer${l}`));
    table.push({ name: `layer${l}.x`, shape: [N, C] }); // the stream after the layer
  }
  return table;
}

/** What the loss and the backward pass write beside the parameters' gradients; dtype as above. */
export function gradientTable(
  config: ForwardConfig,
  dims: Dims,
  B: number,
  dtype: Config["dtype"] = "f32",
): TensorSpec[] {
  const { T, C, NH, HS, H } = dims;
  const N = B * T;
  const half = halfOf(dtype);
  const dpre = { name: "dpre", shape: [N, mlpChannels(dims)], ...half };
  return [
    { name: "losses", shape: [N] },
    { name: "dx", shape: [N, C] }, // the residual stream's gradient
    { name: "dln", shape: [N, C] },
    ...some(config.dropout > 0, { name: "dbranch", shape: [N, C] }), // dx where dropout kept it
    { name: "dact", shape: [N, H], ...half },
    ...some(!fusedActivation(config), dpre),
    { name: "datt", shape: [N, NH * HS], ...half },
    { name: "delta", shape: [B, NH, T] },
    { name: "dqkv", shape: [N, qkvChannels(dims)], ...half },
    // Sums over some of the rows, of which the gains' gradients are made.
    ...some(dims.norm_gains, { name: "gain_parts", shape: [gainParts(N), C] }),
    ...some(dims.head_gains, { name: "head_parts", shape: [2, headParts(N, HS).plane] }),
    ...typed(scratchOfAdapters(dims, N, "backward"), half),
  ];
}

/** Adapters' tensors, those in f32 that are of the residual stream's kind. */
function typed(
  table: readonly (TensorSpec & { residual?: boolean })[],
  half: { dtype?: Half },
): TensorSpec[] {
  return table.map(({ residual, ...spec }) => (residual ? spec : { ...spec, ...half }));
}

const stored: Record<Config["dtype"], { dtype?: Half }> = { f32: {}, f16: { dtype: "f16" } };
const halfOf = (dtype: Config["dtype"]) => stored[dtype];

function some(there: boolean, spec: TensorSpec): TensorSpec[] {
  return there ? [spec] : [];
}
