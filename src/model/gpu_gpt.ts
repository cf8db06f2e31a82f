// The model on the GPU: forward as a list of dispatches, backward as the same list upside down.
// Letters: parameters.ts. The reference's twin of this file is reference/gpt.ts.

import { reluOf } from "../choices.ts";
import { type Tensor, sliceTensor } from "../device/tensors.ts";
import type { Dispatch } from "../device/schedule.ts";
import type { GpuOps } from "./gpu_ops.ts";
import type { ForwardConfig } from "./forward_config.ts";
import { type Dims, type ParameterLayout, qkvChannels } from "./parameters.ts";

export interface GpuGpt {
  ops: GpuOps;
  config: ForwardConfig;
  dims: Dims;
  B: number;
  layout: ParameterLayout;
  /** Of the tables of tensor_tables.ts, by name. */
  tensors: Record<string, Tensor>;
  /** Flat, in the layout's order. */
  params: Tensor;
  /** What products read: params, or a copy of them in f16. */
  weights: Tensor;
  /** (planes, size), each plane flat in the layout's order; the gradients are their sum. */
  grads: Tensor;
  /** (2) the scale on the gradients, and the steps since it was changed. */
  scaler: Tensor;
}

/** ids (B, T) to logits (B, T, V). */
export function forwardList(gpt: Omit<GpuGpt, "grads" | "scaler">, ids: Tensor): Dispatch[] {
  const { ops, config, dims, B, layout, tensors: t, params, weights } = gpt;
  const { T, C, V, NH, NKV, HS, H, L } = dims;
  const [N, A, W] = [B * T, NH * HS, qkvChannels(dims)];
  const { rmsnorm_eps: eps } = config;
  const activation = reluOf(config);
  const table = (name: string) => sliceTensor(params, layout.slice(name));
  const w = (name: string) => sliceTensor(weights, layout.slice(name));

  const embedding = { B, T, C, V, eps };
  const list = [
    ops.embeddingRmsnormForward(t.x, t.rstd, ids, table("wte"), table("wpe"), embedding),
  ];
  const fc1 = { N, C, OC: H };
  const fc2 = { N, C: H, OC: C };
  const attention = { B, T, C: A, NH, NKV };
  let x = t.x;
  for (let l = 0; l < L; l++) {
    const a = (name: string) => t[`layer${l}.${name}`];
    const wl = (name: string) => w(`layer${l}.${name}`);
    list.push(
      ops.rmsnormForward(a("ln1"), a("rstd1"), x, { N, C, eps }),
      ops.matmulForward(a("qkv"), a("ln1"), wl("attn_wqkv"), { N, C, OC: W }),
      ops.attentionForward(a("att"), a("stats"), a("qkv"), attention),
      ops.matmulResidualForward(a("mid"), x, a("att"), wl("attn_wo"), { N, C: A, OC: C }),
      ops.rmsnormForward(a("ln2"), a("rstd2"), a("mid"), { N, C, eps }),
      ops.matmulActivationForward(a("act"), a("ln2"), wl("mlp_fc1"), { ...fc1, activation }),
      ops.matmulResidualForward(a("x"), a("mid"), a("act"), wl("mlp_fc2"), fc2),
    );
    x = a("x");
  }
  if (config.final_norm) {
    list.push(ops.rmsnormForward(t.lnf, t.rstdf, x, { N, C, eps }));
    x = t.lnf;
  }
  list.push(ops.matmulForward(t.logits, x, w("head"), { N, C, OC: V }));
  return list;
}

/** Logits and targets (B, T) to the losses (B, T), and to dlogits in the logits' place. */
export function lossList(
  { ops, dims, B, tensors: t, scaler }: Pick<GpuGpt, "ops" | "dims" | "B" | "tensors" | "scaler">,
  targets: Tensor,
  step_data: Tensor,
): Dispatch[] {
  return [
    ops.crossEntropy(t.losses, t.logits, targets, step_data, scaler, { N: B * dims.T, V: dims.V }),
  ];
}

/** dlogits to the gradient of every parameter; order and starts are the ids sorted by token. */
export function backwardList(gpt: GpuGpt, order: Tensor, starts: Tensor): Dispatch[] {
  const { ops, config, dims, B, layout, tensors: t, weights, grads } = gpt;
  const { T, C, V, NH, NKV, HS, H, L } = dims;
  const [N, A, W] = [B * T, NH * HS, qkvChannels(dims)];
  const activation = reluOf(config);
  const plane = layout.size;
  const planes = grads.shape[0];
  const w = (name: string) => sliceTensor(weights, layout.slice(name));
  const dw = (name: string) => sliceTensor(grads, layout.slice(name));
  /** From a tensor's place in the first plane to its end in the last one. */
  const across = (name: string) => {
    const slice = layout.slice(name);
    return sliceTensor(grads, { ...slice, size: (planes - 1) * plane + slice.size });
  };

  const dlogits = t.logits;
  const head = { N, C, OC: V, plane };
  const fc2 = { N, C: H, OC: C, activation, plane };
  const fc1 = { N, C, OC: H, plane };
  const wo = { N, C: A, OC: C, plane };
  const qkv = { N, C, OC: W, plane };
  const attention = { B, T, C: A, NH, NKV };
  const [dlast, last] = config.final_norm ? [t.dln, t.lnf] : [t.dx, t[`layer${L - 1}.x`]];
  const list = [ops.matmulBackward(dlast, across("head"), dlogits, last, w("head"), head)];
  if (config.final_norm) {
    list.push(ops.rmsnormBackward(t.dx, t.dln, t.lnf, t.rstdf, { N, C, accumulate: false }));
  }
  for (let l = L - 1; l >= 0; l--) {
    const a = (name: string) => t[`layer${l}.${name}`];
    const wl = (name: string) => w(`layer${l}.${name}`);
    const dwl = (name: string) => across(`layer${l}.${name}`);
    list.push(
      ops.matmulActivationBackward(t.dact, dwl("mlp_fc2"), t.dx, a("act"), wl("mlp_fc2"), fc2),
      ops.matmulBackward(t.dln, dwl("mlp_fc1"), t.dact, a("ln2"), wl("mlp_fc1"), fc1),
      ops.rmsnormBackward(t.dx, t.dln, a("ln2"), a("rstd2"), { N, C, accumulate: true }),
      ops.matmulBackward(t.datt, dwl("attn_wo"), t.dx, a("att"), wl("attn_wo"), wo),
      ops.attentionBackwardQ(t.dqkv, t.delta, t.datt, a("att"), a("qkv"), a("stats"), attention),
      ops.attentionBackwardKv(t.dqkv, t.delta, t.datt, a("qkv"), a("stats"), attention),
      ops.matmulBackward(t.dln, dwl("attn_wqkv"), t.dqkv, a("ln1"), wl("attn_wqkv"), qkv),
      ops.rmsnormBackward(t.dx, t.dln, a("ln1"), a("rstd1"), { N, C, accumulate: true }),
    );
  }
  const dencoded = t.dln;
  list.push(
    ops.rmsnormBackward(dencoded, t.dx, t.x, t.rstd, { N, C, accumulate: false }),
    ops.embeddingBackward(dw("wte"), dw("wpe"), dencoded, order, starts, { B, T, C, V }),
  );
  return list;
}
