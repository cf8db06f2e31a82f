// The model on the GPU: forward as a list of dispatches, backward as the same list upside down; what lies between them,
// from the last stream to its gradient, is in classifier.ts.
// Letters: parameters.ts. The reference's twin of this file is reference/gpt.ts.

import { type Tensor, sliceTensor } from "../device/tensors.ts";
import type { Dispatch } from "../device/schedule.ts";
import { rowsOf, tablePieces } from "./classifier.ts";
import { dropped } from "./dropout.ts";
import type { GpuOps, LinearSizes } from "./gpu_ops.ts";
import { type ForwardConfig, fusedActivation } from "./forward_config.ts";
import { headParts, headsBackward, headsForward } from "./head_ops.ts";
import { adapterInput, type Frozen, linearBackward, linearForward } from "./linear.ts";
import { type Dims, mlpChannels, type ParameterLayout, qkvChannels } from "./parameters.ts";
import { gainParts } from "./row_ops.ts";
import type { StepSlices } from "./step_data.ts";

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
  /** Where the parameters are adapters, all other weights. */
  frozen?: Frozen;
  /** (planes, size), each plane flat in the layout's order; the gradients are their sum. */
  grads: Tensor;
  /** (2) the scale on the gradients, and the steps since it was changed. */
  scaler: Tensor;
}

type Forward = Omit<GpuGpt, "grads" | "scaler">;
type Tensors = GpuGpt["tensors"];

/**
 * ids (B, T) to the last stream (B, T, C), of which the logits are made.
 * @param step_data of the step that is being trained; undefined where dropout leaves out nothing
 */
export function forwardList(gpt: Forward, ids: Tensor, step_data?: Tensor): Dispatch[] {
  const { ops, config, dims, B, tensors: t } = gpt;
  const { T, C, V, L } = dims;
  const { table } = parametersOf(gpt);
  const noise = noiseOf(gpt, step_data);
  const encoded = noise ? t.encoded : t.x;
  const wpe = dims.wpe ? table("wpe") : undefined;
  const embedding = { B, T, C, V, eps: config.rmsnorm_eps };
  const wte = table("wte");
  const list = config.embedding_norm
    ? [ops.embeddingRmsnormForward(encoded, t.rstd, ids, wte, wpe, embedding)]
    : tablePieces(ops.device, dims, wte.dtype === "f16").map((piece) => {
        const { first, count: V } = piece;
        const positions = first === 0 ? wpe : undefined;
        const sizes = { ...embedding, V, first };
        return ops.embeddingForward(encoded, ids, rowsOf(wte, piece), positions, sizes);
      });
  if (noise) list.push(ops.dropout(t.x, encoded, ...noise(dropped.embedding)));
  for (let l = 0; l < L; l++) {
    const { activations, output } = layerForward(gpt, l, step_data);
    list.push(...activations, ...output);
  }
  if (config.final_norm) list.push(norm(gpt, t.lnf, t.rstdf, streamOf(t, L), "final_norm"));
  return list;
}

/** A layer's dispatches: those of all that its backward pass reads, and those of the stream behind it. */
function layerForward(gpt: Forward, l: number, step_data?: Tensor) {
  const { ops, config, dims, B, tensors: t } = gpt;
  const { T, C, NH, NKV, HS, H } = dims;
  const [N, A, W, IN] = [B * T, NH * HS, qkvChannels(dims), mlpChannels(dims)];
  const { activation, rmsnorm_eps: eps } = config;
  const { headGains, w } = parametersOf(gpt);
  const noise = noiseOf(gpt, step_data);
  const a = activationsOf(t, l);
  /** out = x + dropout(inp · weightᵀ). */
  const branch = (
    out: Tensor,
    x: Tensor,
    inp: Tensor,
    linear: "attn_wo" | "mlp_fc2",
    sizes: LinearSizes,
    tensor: number,
  ) => {
    if (!noise) return linearForward(gpt, l, linear, out, inp, sizes, x);
    return [
      ...linearForward(gpt, l, linear, out, inp, sizes),
      ops.dropoutResidual(out, x, ...noise(tensor)),
    ];
  };

  const x = streamOf(t, l);
  const [qkv, wo, mlp_in, fc2] = [
    { N, C, OC: W },
    { N, C: A, OC: C },
    { N, C, OC: IN },
    { N, C: H, OC: C },
  ];
  const activations = [
    norm(gpt, a("ln1"), a("rstd1"), x, `layer${l}.attn_norm`),
    ...adapterInput(gpt, l, "attn_wqkv", a("ln1"), qkv),
    ...linearForward(gpt, l, "attn_wqkv", a("qkv"), a("ln1"), qkv),
  ];
  if (a("heads")) {
    const [rstd, turns] = [a("rstdh") ?? null, t.turns ?? null];
    const sizes = { B, T, NH, NKV, HS, eps };
    const gains = headGains(l);
    activations.push(headsForward(ops.device, a("heads"), rstd, a("qkv"), gains, turns, sizes));
  }
  const attention = { B, T, C: A, NH, NKV };
  activations.push(
    ops.attentionForward(a("att"), a("stats"), a("heads") ?? a("qkv"), attention),
    ...adapterInput(gpt, l, "attn_wo", a("att"), wo),
    ...branch(a("mid"), x, a("att"), "attn_wo", wo, dropped.attention(l)),
    norm(gpt, a("ln2"), a("rstd2"), a("mid"), `layer${l}.mlp_norm`),
  );
  const relu = fusedActivation(config);
  if (relu) {
    const weight = w(`layer${l}.mlp_in`);
    const sizes = { ...mlp_in, activation: relu };
    activations.push(ops.matmulActivationForward(a("act"), a("ln2"), weight, sizes));
  } else {
    activations.push(
      ...adapterInput(gpt, l, "mlp_in", a("ln2"), mlp_in),
      ...linearForward(gpt, l, "mlp_in", a("pre"), a("ln2"), mlp_in),
      ops.activationForward(a("act"), a("pre"), { N, H, activation }),
    );
  }
  activations.push(...adapterInput(gpt, l, "mlp_fc2", a("act"), fc2));
  const output = branch(a("x"), a("mid"), a("act"), "mlp_fc2", fc2, dropped.mlp(l));
  return { activations, output };
}

/** A norm, with its learned gain if the model has it. */
function norm(gpt: Forward, out: Tensor, rstd: Tensor, inp: Tensor, name: string): Dispatch {
  const { ops, config, dims, B } = gpt;
  const gain = parametersOf(gpt).gain(name);
  const sizes = { N: B * dims.T, C: dims.C, eps: config.rmsnorm_eps };
  return gain
    ? ops.rmsnormGainForward(out, rstd, inp, gain, sizes)
    : ops.rmsnormForward(out, rstd, inp, sizes);
}

/**
 * The last stream's gradient to that of every parameter, of which the classifier's share is there already; order and
 * starts are the ids sorted by token.
 */
export function backwardList(
  gpt: GpuGpt,
  { order, starts, step_data }: Pick<StepSlices, "order" | "starts" | "step_data">,
): Dispatch[] {
  const { ops, config, dims, B, layout, tensors: t, grads, frozen } = gpt;
  const { T, C, V, NH, NKV, HS, H, L } = dims;
  const [N, A, W, IN] = [B * T, NH * HS, qkvChannels(dims), mlpChannels(dims)];
  const { activation } = config;
  const { gain, headGains, w } = parametersOf(gpt);
  const noise = noiseOf(gpt, step_data);
  const plane = layout.size;
  const dw = (name: string) => sliceTensor(grads, layout.slice(name));
  const across = (name: string) => sliceTensor(grads, layout.across(name, grads.shape[0]));
  const list: Dispatch[] = [];
  /** dx, the residual stream's gradient, from dln, that of its norm. */
  const normBackward = (
    name: string,
    { out, inp, rstd }: Record<"out" | "inp" | "rstd", Tensor>,
    accumulate: boolean,
  ) => {
    const learned = gain(name);
    const sizes = { N, C, accumulate };
    if (!learned) {
      list.push(ops.rmsnormBackward(t.dx, t.dln, out, rstd, sizes));
      return;
    }
    list.push(ops.rmsnormGainBackward(t.dx, t.gain_parts, t.dln, inp, rstd, learned, sizes));
    if (!frozen) list.push(ops.gainSum(dw(name), t.gain_parts, { P: gainParts(N), C }));
  };
  /** dqkv, in its place, from the gradient of what a layer's attention reads. */
  const headBackward = (l: number) => {
    const a = activationsOf(t, l);
    const [gains, rstd, turns] = [headGains(l), a("rstdh") ?? null, t.turns ?? null];
    const dgains = gains && t.head_parts;
    const qkv = rstd && a("qkv");
    const sizes = { B, T, NH, NKV, HS };
    list.push(headsBackward(ops.device, t.dqkv, dgains, qkv, rstd, gains, turns, sizes));
    if (!dgains || frozen) return;
    const { parts: P, plane } = headParts(N, HS);
    ["q_norm", "k_norm"].forEach((name, k) => {
      const slice = { name, shape: [P, HS], offset: k * plane, size: P * HS };
      const parts = sliceTensor(dgains, slice);
      list.push(ops.gainSum(dw(`layer${l}.${name}`), parts, { P, C: HS }));
    });
  };
  /** What dropout leaves of dx. */
  const kept = (tensor: number) => {
    if (!noise) return t.dx;
    list.push(ops.dropout(t.dbranch, t.dx, ...noise(tensor)));
    return t.dbranch;
  };
  const fc2 = { N, C: H, OC: C };
  const wo = { N, C: A, OC: C };
  const relu = fusedActivation(config);
  const attention = { B, T, C: A, NH, NKV };
  if (config.final_norm) {
    normBackward("final_norm", { out: t.lnf, inp: streamOf(t, L), rstd: t.rstdf }, false);
  }
  for (let l = L - 1; l >= 0; l--) {
    if (l < L - 1 && isShared(t)) list.push(...layerForward(gpt, l, step_data).activations);
    const a = activationsOf(t, l);
    const dmlp = kept(dropped.mlp(l));
    const dpre = relu ? t.dact : t.dpre;
    if (relu) {
      const sizes = { ...fc2, plane, activation: relu };
      const [weight, dweight] = [w(`layer${l}.mlp_fc2`), across(`layer${l}.mlp_fc2`)];
      list.push(ops.matmulActivationBackward(dpre, dweight, dmlp, a("act"), weight, sizes));
    } else {
      list.push(
        ...linearBackward(gpt, l, "mlp_fc2", t.dact, dmlp, a("act"), fc2),
        ops.activationBackward(dpre, t.dact, a("pre"), { N, H, activation }),
      );
    }
    const mlp_in = { N, C, OC: IN };
    list.push(...linearBackward(gpt, l, "mlp_in", t.dln, dpre, a("ln2"), mlp_in));
    const mlp = { out: a("ln2"), inp: a("mid"), rstd: a("rstd2") };
    normBackward(`layer${l}.mlp_norm`, mlp, true);
    const dattention = kept(dropped.attention(l));
    const heads = a("heads") ?? a("qkv");
    list.push(
      ...linearBackward(gpt, l, "attn_wo", t.datt, dattention, a("att"), wo),
      ops.attentionBackwardQ(t.dqkv, t.delta, t.datt, a("att"), heads, a("stats"), attention),
      ops.attentionBackwardKv(t.dqkv, t.delta, t.datt, heads, a("stats"), attention),
    );
    if (a("heads")) headBackward(l);
    const qkv = { N, C, OC: W };
    list.push(...linearBackward(gpt, l, "attn_wqkv", t.dln, t.dqkv, a("ln1"), qkv));
    const attended = { out: a("ln1"), inp: streamOf(t, l), rstd: a("rstd1") };
    normBackward(`layer${l}.attn_norm`, attended, true);
  }
  if (frozen) return list;
  const dencoded = kept(dropped.embedding);
  let dembedding = dencoded;
  if (config.embedding_norm) {
    dembedding = t.dln;
    const encoded = noise ? t.encoded : t.x;
    const sizes = { N, C, accumulate: false };
    list.push(ops.rmsnormBackward(dembedding, dencoded, encoded, t.rstd, sizes));
  }
  const dwpe = dims.wpe ? dw("wpe") : undefined;
  const sizes = { B, T, C, V, accumulate: !dims.lm_head };
  list.push(ops.embeddingBackward(dw("wte"), dwpe, dembedding, order, starts, sizes));
  return list;
}

/** The stream before layer l; of l = L the one behind the last. */
const streamOf = (t: Tensors, l: number) => (l > 0 ? t[`layer${l - 1}.x`] : t.x);

/** A layer's tensors: its own, or those that all layers share and that each makes anew in the backward pass. */
const activationsOf = (t: Tensors, l: number) => (name: string) =>
  t[`layer${l}.${name}`] ?? t[`layer.${name}`];
const isShared = (t: Tensors) => t["layer.ln1"] !== undefined;

/** The parameters by name: as they are, gains where the model has them, and what products read. */
function parametersOf({ dims, layout, params, weights, frozen }: Forward) {
  const {
    layout: all,
    weights: read,
    gains,
    gainLayout,
  } = frozen ?? { layout, weights, gains: params, gainLayout: layout };
  const table = (name: string) => sliceTensor(frozen ? read : params, all.slice(name));
  const factor = (name: string) => sliceTensor(gains, gainLayout.slice(name));
  const gain = (name: string) =>
    (name === "final_norm" ? dims.final_gain : dims.norm_gains) ? factor(name) : undefined;
  const headGains = (l: number) =>
    dims.head_gains ? { q: factor(`layer${l}.q_norm`), k: factor(`layer${l}.k_norm`) } : null;
  const w = (name: string) => sliceTensor(read, all.slice(name));
  return { table, gain, headGains, w };
}

/** What dropout leaves out of a tensor of the step, one of `dropped`; undefined where it leaves out nothing. */
function noiseOf({ config, dims, B }: Forward, step_data?: Tensor) {
  const { seed, dropout } = config;
  if (!step_data || dropout === 0) return undefined;
  const { T, C } = dims;
  return (tensor: number) => [step_data, { seed, tensor, B, T, C, dropout }] as const;
}
