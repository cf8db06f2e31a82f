// What the reference keeps: parameters by their names, and what the forward and the backward pass write.

import { isRope } from "../choices.ts";
import { type ForwardConfig, fusedActivation } from "../model/forward_config.ts";
import { type Dims, mlpChannels, type ParameterLayout, qkvChannels } from "../model/parameters.ts";

const values = (size: number) => new Float64Array(size);
const some = (there: boolean, size: number) => (there ? values(size) : undefined);

/** The tensors of a flat array, by the table's names; made once, since a view costs as much as a small operation. */
export function tensorsOf(layout: ParameterLayout, flat: Float64Array) {
  const { wpe, norm_gains, head_gains, final_gain, L } = layout.dims;
  const view = (name: string) => {
    const { offset, size } = layout.slice(name);
    return flat.subarray(offset, offset + size);
  };
  return {
    wte: view("wte"),
    wpe: wpe ? view("wpe") : undefined,
    head: view("head"),
    layers: Array.from({ length: L }, (_, l) => ({
      attn_norm: norm_gains ? view(`layer${l}.attn_norm`) : undefined,
      attn_wqkv: view(`layer${l}.attn_wqkv`),
      head_gains: head_gains
        ? { q: view(`layer${l}.q_norm`), k: view(`layer${l}.k_norm`) }
        : undefined,
      attn_wo: view(`layer${l}.attn_wo`),
      mlp_norm: norm_gains ? view(`layer${l}.mlp_norm`) : undefined,
      mlp_in: view(`layer${l}.mlp_in`),
      mlp_fc2: view(`layer${l}.mlp_fc2`),
    })),
    final_norm: final_gain ? view("final_norm") : undefined,
  };
}

/** What a layer keeps of its forward pass for the backward pass. */
function layerActivations(config: ForwardConfig, dims: Dims, B: number, T: number) {
  const { C, NH, NKV, HS, H } = dims;
  const N = B * T;
  const qkv = values(N * qkvChannels(dims)); // (N, (NH + 2·NKV)·HS)
  const apart = config.qk_norm || isRope(config.position);
  return {
    ln1: values(N * C), // (N, C)
    rstd1: values(N), // (N)
    qkv,
    heads: apart ? values(qkv.length) : qkv, // qkv with q and k normed and turned
    rstdh: some(config.qk_norm, N * (NH + NKV)), // (N, NH + NKV)
    att: values(N * NH * HS), // (N, NH·HS)
    stats: values(B * NH * T * 2), // (B, NH, T, 2)
    mid: values(N * C), // (N, C) the residual stream between attention and MLP
    ln2: values(N * C), // (N, C)
    rstd2: values(N), // (N)
    pre: some(!fusedActivation(config), N * mlpChannels(dims)), // (N, H) or (N, 2H)
    act: values(N * H), // (N, H)
    x: values(N * C), // (N, C) the residual stream after the layer
  };
}

/** Of batches of up to B rows of T positions. */
export function activationsOf(config: ForwardConfig, dims: Dims, B: number, T: number) {
  const { C, V, NH, HS, H, L } = dims;
  const N = B * T;
  const drops = config.dropout > 0;
  const act = values(N * H);
  const encoded = values(N * C); // the embedding's output
  return {
    encoded,
    rstd: values(N), // (N)
    x: drops ? values(N * C) : encoded, // (N, C) the residual stream before the first layer
    layers: Array.from({ length: L }, () => layerActivations(config, dims, B, T)),
    lnf: some(config.final_norm, N * C), // (N, C)
    rstdf: values(N), // (N)
    logits: values(N * V), // (N, V), after loss() their gradient
    losses: values(N), // (N)
    branch: some(drops, N * C), // (N, C) what a layer's branch adds to the stream, and the gradient of that
    dx: values(N * C), // (N, C) the residual stream's gradient
    dln: values(N * C), // (N, C)
    dact: act, // (N, H)
    dpre: fusedActivation(config) ? act : values(N * mlpChannels(dims)), // as pre
    datt: values(N * NH * HS), // (N, NH·HS)
    delta: values(B * NH * T), // (B, NH, T)
    dqkv: values(N * qkvChannels(dims)), // as qkv
  };
}
