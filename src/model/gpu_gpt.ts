// The model on the GPU: forward as a list of dispatches, backward as the same list upside down.
// Letters: parameters.ts. The reference's twin of this file is reference/gpt.ts.

import type { Config } from "../config.ts";
import { type Tensor, type TensorSpec, sliceTensor } from "../device/tensors.ts";
import type { Dispatch } from "../device/schedule.ts";
import type { GpuOps } from "./gpu_ops.ts";
import type { Dims, ParameterLayout } from "./parameters.ts";

/** What the forward pass writes; all of it is kept for the backward pass. */
export function activationTable({ T, C, V, NH, L }: Dims, B: number): TensorSpec[] {
  const N = B * T;
  const table: TensorSpec[] = [
    { name: "encoded", shape: [N, C] },
    { name: "rstd", shape: [N] },
    { name: "x", shape: [N, C] }, // the residual stream before the first layer
    { name: "logits", shape: [N, V] }, // the backward pass turns them into their gradient
  ];
  for (let l = 0; l < L; l++) {
    table.push(
      { name: `layer${l}.ln1`, shape: [N, C] },
      { name: `layer${l}.rstd1`, shape: [N] },
      { name: `layer${l}.qkv`, shape: [N, 3 * C] },
      { name: `layer${l}.att`, shape: [N, C] },
      { name: `layer${l}.stats`, shape: [B, NH, T, 2] },
      { name: `layer${l}.mid`, shape: [N, C] }, // the stream between attention and MLP
      { name: `layer${l}.ln2`, shape: [N, C] },
      { name: `layer${l}.rstd2`, shape: [N] },
      { name: `layer${l}.act`, shape: [N, 4 * C] },
      { name: `layer${l}.x`, shape: [N, C] }, // the stream after the layer
    );
  }
  return table;
}

/** What the loss and the backward pass write beside the parameters' gradients. */
export function gradientTable({ T, C, NH }: Dims, B: number): TensorSpec[] {
  const N = B * T;
  return [
    { name: "losses", shape: [N] },
    { name: "dx", shape: [N, C] }, // the residual stream's gradient
    { name: "dln", shape: [N, C] },
    { name: "dact", shape: [N, 4 * C] },
    { name: "datt", shape: [N, C] },
    { name: "delta", shape: [B, NH, T] },
    { name: "dqkv", shape: [N, 3 * C] },
  ];
}

export interface GpuGpt {
  ops: GpuOps;
  config: Pick<Config, "activation" | "rmsnorm_eps">;
  dims: Dims;
  B: number;
  layout: ParameterLayout;
  /** Of the tables above, by name. */
  tensors: Record<string, Tensor>;
  /** Flat, in the layout's order. */
  params: Tensor;
}

/** ids (B, T) to logits (B, T, V). */
export function forwardList(gpt: GpuGpt, ids: Tensor): Dispatch[] {
  const { ops, config, dims, B, layout, tensors: t, params } = gpt;
  const { T, C, V, NH, L } = dims;
  const N = B * T;
  const { activation, rmsnorm_eps: eps } = config;
  const w = (name: string) => sliceTensor(params, layout.slice(name));

  const list = [
    ops.embeddingForward(t.encoded, ids, w("wte"), w("wpe"), { B, T, C, V }),
    ops.rmsnormForward(t.x, t.rstd, t.encoded, { N, C, eps }),
  ];
  const fc1 = { N, C, OC: 4 * C };
  const fc2 = { N, C: 4 * C, OC: C };
  let x = t.x;
  for (let l = 0; l < L; l++) {
    const a = (name: string) => t[`layer${l}.${name}`];
    const wl = (name: string) => w(`layer${l}.${name}`);
    list.push(
      ops.rmsnormForward(a("ln1"), a("rstd1"), x, { N, C, eps }),
      ops.matmulForward(a("qkv"), a("ln1"), wl("attn_wqkv"), { N, C, OC: 3 * C }),
      ops.attentionForward(a("att"), a("stats"), a("qkv"), { B, T, C, NH }),
      ops.matmulResidualForward(a("mid"), x, a("att"), wl("attn_wo"), { N, C, OC: C }),
      ops.rmsnormForward(a("ln2"), a("rstd2"), a("mid"), { N, C, eps }),
      ops.matmulActivationForward(a("act"), a("ln2"), wl("mlp_fc1"), { ...fc1, activation }),
      ops.matmulResidualForward(a("x"), a("mid"), a("act"), wl("mlp_fc2"), fc2),
    );
    x = a("x");
  }
  list.push(ops.matmulForward(t.logits, x, w("lm_head"), { N, C, OC: V }));
  return list;
}

/** Logits and targets (B, T) to the step's loss, and to dlogits in the logits' place. */
export function lossList(
  { ops, dims, B, tensors: t }: GpuGpt,
  targets: Tensor,
  step_data: Tensor,
  records: Tensor,
): Dispatch[] {
  const N = B * dims.T;
  const { V } = dims;
  return [
    ops.crossEntropy(t.losses, t.logits, targets, step_data, { N, V }),
    ops.meanLoss(records, t.losses, step_data, { N }),
  ];
}

/** dlogits to the gradient of every parameter; order and starts are the ids sorted by token. */
export function backwardList(
  gpt: GpuGpt,
  order: Tensor,
  starts: Tensor,
  grads: Tensor,
): Dispatch[] {
  const { ops, config, dims, B, layout, tensors: t, params } = gpt;
  const { T, C, V, NH, L } = dims;
  const N = B * T;
  const w = (name: string) => sliceTensor(params, layout.slice(name));
  const dw = (name: string) => sliceTensor(grads, layout.slice(name));
  const { activation } = config;

  const dlogits = t.logits;
  const last = t[`layer${L - 1}.x`];
  const list = [
    ops.matmulBackwardWeight(dw("lm_head"), dlogits, last, { N, C, OC: V }),
    ops.matmulBackwardInput(t.dx, dlogits, w("lm_head"), { N, C, OC: V }),
  ];
  for (let l = L - 1; l >= 0; l--) {
    const a = (name: string) => t[`layer${l}.${name}`];
    const wl = (name: string) => w(`layer${l}.${name}`);
    const dwl = (name: string) => dw(`layer${l}.${name}`);
    const x = l === 0 ? t.x : t[`layer${l - 1}.x`];
    list.push(
      ops.matmulBackwardWeight(dwl("mlp_fc2"), t.dx, a("act"), { N, C: 4 * C, OC: C }),
      ops.matmulActivationBackwardInput(t.dact, t.dx, wl("mlp_fc2"), a("act"), {
        N,
        C: 4 * C,
        OC: C,
        activation,
      }),
      ops.matmulBackwardWeight(dwl("mlp_fc1"), t.dact, a("ln2"), { N, C, OC: 4 * C }),
      ops.matmulBackwardInput(t.dln, t.dact, wl("mlp_fc1"), { N, C, OC: 4 * C }),
      ops.rmsnormBackward(t.dx, t.dln, a("mid"), a("rstd2"), { N, C, accumulate: true }),
      ops.matmulBackwardWeight(dwl("attn_wo"), t.dx, a("att"), { N, C, OC: C }),
      ops.matmulBackwardInput(t.datt, t.dx, wl("attn_wo"), { N, C, OC: C }),
      ops.attentionBackwardQ(t.dqkv, t.delta, t.datt, a("att"), a("qkv"), a("stats"), {
        B,
        T,
        C,
        NH,
      }),
      ops.attentionBackwardKv(t.dqkv, t.delta, t.datt, a("qkv"), a("stats"), { B, T, C, NH }),
      ops.matmulBackwardWeight(dwl("attn_wqkv"), t.dqkv, a("ln1"), { N, C, OC: 3 * C }),
      ops.matmulBackwardInput(t.dln, t.dqkv, wl("attn_wqkv"), { N, C, OC: 3 * C }),
      ops.rmsnormBackward(t.dx, t.dln, x, a("rstd1"), { N, C, accumulate: true }),
    );
  }
  const dencoded = t.dln;
  list.push(
    ops.rmsnormBackward(dencoded, t.dx, t.encoded, t.rstd, { N, C, accumulate: false }),
    ops.embeddingBackwardPosition(dw("wpe"), dencoded, { B, T, C }),
    ops.embeddingBackwardToken(dw("wte"), dencoded, order, starts, { C, V }),
  );
  return list;
}
