// A layer's linear layers as dispatches: a product each; beside a frozen weight no gradient of it, and where the layer has
// adapters what they add. The reference's twin of this file is reference/linear.ts.

import type { Dispatch } from "../device/schedule.ts";
import { sliceTensor, type Tensor, type TensorSpec } from "../device/tensors.ts";
import { adapterGather, adapterSpread } from "./adapter_ops.ts";
import { adaptersOf, frozenDims, type LinearName, linearNames, scaleOf } from "./adapters.ts";
import type { GpuGpt } from "./gpu_gpt.ts";
import type { LinearSizes } from "./gpu_ops.ts";
import {
  type Dims,
  isGain,
  mlpChannels,
  PARAMETER_ALIGNMENT,
  ParameterLayout,
  qkvChannels,
} from "./parameters.ts";

type Model = Omit<GpuGpt, "grads" | "scaler">;

/** The weights that adapters are beside, where a model has some. */
export interface Frozen {
  layout: ParameterLayout;
  /** Flat, as embedding and products read it. */
  weights: Tensor;
  /** Flat, in f32: the norms' factors, by a layout of their own where the weights are f16. */
  gains: Tensor;
  gainLayout: ParameterLayout;
}

/** The layouts of the weights beside adapters: of all, and of what is kept in f32 too where they are f16. */
export function frozenLayouts(dims: Dims) {
  const plain = frozenDims(dims);
  return {
    all: new ParameterLayout(plain, PARAMETER_ALIGNMENT),
    gains: new ParameterLayout(plain, PARAMETER_ALIGNMENT, isGain),
  };
}

/** The tensors of a step that hold them; none where all is trained. */
export function frozenTable(dims: Dims, half: boolean): TensorSpec[] {
  if (!dims.adapters) return [];
  const { all, gains } = frozenLayouts(dims);
  const frozen = { name: "frozen", shape: [all.size], sliced: true };
  if (!half) return [frozen];
  const list: TensorSpec[] = [{ ...frozen, dtype: "f16" }];
  if (gains.size > 0) list.push({ name: "frozen_gains", shape: [gains.size], sliced: true });
  return list;
}

export function frozenOf(dims: Dims, { frozen, frozen_gains }: Record<string, Tensor>) {
  if (!frozen) return undefined;
  const { all: layout, gains } = frozenLayouts(dims);
  const apart = frozen.dtype === "f16" && gains.size > 0;
  return {
    layout,
    weights: frozen,
    gains: apart ? frozen_gains : frozen,
    gainLayout: apart ? gains : layout,
  } satisfies Frozen;
}

/** Input and output channels. */
function channelsOf(dims: Dims, linear: LinearName): { IC: number; OC: number } {
  const { C, NH, HS, H } = dims;
  return {
    attn_wqkv: { IC: C, OC: qkvChannels(dims) },
    attn_wo: { IC: NH * HS, OC: C },
    mlp_in: { IC: C, OC: mlpChannels(dims) },
    mlp_fc2: { IC: H, OC: C },
  }[linear];
}

/**
 * What a layer keeps of its adapters for the backward pass.
 * @param layer what the names begin with
 */
export function keptOfAdapters(dims: Dims, N: number, layer: string): TensorSpec[] {
  return linearNames.flatMap((linear) => {
    const { SR } = adaptersOf(dims, linear) ?? {};
    return SR === undefined ? [] : [{ name: `${layer}.${linear}_a`, shape: [N, SR] }];
  });
}

/** What all layers' adapters write besides, one after the other: on the way forward, and on the way back. */
export function scratchOfAdapters(dims: Dims, N: number, way: "forward" | "backward") {
  return linearNames.flatMap((linear): (TensorSpec & { residual?: boolean })[] => {
    const { SR } = adaptersOf(dims, linear) ?? {};
    if (SR === undefined) return [];
    const { IC, OC } = channelsOf(dims, linear);
    const own = (name: string) => `adapter.${linear}.${name}`;
    return {
      forward: [
        { name: own("b"), shape: [OC, SR] },
        { name: own("added"), shape: [N, OC], residual: isBranch(linear) },
      ],
      backward: [
        { name: own("db"), shape: [OC, SR], residual: true },
        { name: own("da"), shape: [N, SR] },
        { name: own("dadded"), shape: [N, IC], residual: !isBranch(linear) },
      ],
    }[way];
  });
}

/** Whether it ends a branch, whose output is added to the stream. */
function isBranch(linear: LinearName): boolean {
  return linear === "attn_wo" || linear === "mlp_fc2";
}

/** A layer's linear layer: its weight, and its adapters if it has some. */
function partsOf(gpt: Model, l: number, linear: LinearName) {
  const { config, dims, layout, weights, params, frozen, tensors: t } = gpt;
  const name = `layer${l}.${linear}`;
  const [from, all] = frozen ? [frozen.weights, frozen.layout] : [weights, layout];
  const weight = sliceTensor(from, all.slice(name));
  const found = adaptersOf(dims, linear);
  if (!found) return { weight };
  const adapters = {
    ...found,
    scale: scaleOf(config),
    A: sliceTensor(weights, layout.slice(`${name}.lora_A`)),
    B: sliceTensor(params, layout.slice(`${name}.lora_B`)),
    a: t[`${name}_a`] ?? t[`layer.${linear}_a`],
    own: (tensor: string) => t[`adapter.${linear}.${tensor}`],
  };
  return { weight, adapters };
}

/** a = inp · Aᵀ, which the backward pass reads too; nothing where the layer has no adapters. */
export function adapterInput(
  gpt: Model,
  l: number,
  linear: LinearName,
  inp: Tensor,
  { N, C }: LinearSizes,
): Dispatch[] {
  const { adapters } = partsOf(gpt, l, linear);
  if (!adapters) return [];
  const { A, a, SR } = adapters;
  return [gpt.ops.matmulForward(a, inp, A, { N, C, OC: SR })];
}

/** out = inp · weightᵀ, and x and what adapters add, whose input is there. */
export function linearForward(
  gpt: Model,
  l: number,
  linear: LinearName,
  out: Tensor,
  inp: Tensor,
  sizes: LinearSizes,
  x?: Tensor,
): Dispatch[] {
  const { ops } = gpt;
  const { weight, adapters } = partsOf(gpt, l, linear);
  const product = (to: Tensor, from: Tensor, by: Tensor, of: LinearSizes, plus?: Tensor) =>
    plus ? ops.matmulResidualForward(to, plus, from, by, of) : ops.matmulForward(to, from, by, of);
  if (!adapters) return [product(out, inp, weight, sizes, x)];
  const { N, OC } = sizes;
  const { a, B, SR, own, ...places } = adapters;
  const [b, added] = [own("b"), own("added")];
  return [
    adapterSpread(ops.device, b, B, { ...places, OC }),
    product(added, a, b, { N, C: SR, OC }, x),
    product(out, inp, weight, sizes, added),
  ];
}

/** dinp = dout · weight, and the gradients of the weight or of its adapters. */
export function linearBackward(
  gpt: Model & Pick<GpuGpt, "grads">,
  l: number,
  linear: LinearName,
  dinp: Tensor,
  dout: Tensor,
  inp: Tensor,
  sizes: LinearSizes,
): Dispatch[] {
  const { ops, layout, grads, frozen } = gpt;
  const { weight, adapters } = partsOf(gpt, l, linear);
  const plane = layout.size;
  const across = (name: string) => sliceTensor(grads, layout.across(name, grads.shape[0]));
  const name = `layer${l}.${linear}`;
  if (!frozen) {
    return [ops.matmulBackward(dinp, across(name), dout, inp, weight, { ...sizes, plane })];
  }
  if (!adapters) return [ops.matmulBackwardInput(dinp, dout, weight, sizes)];
  const { N, C, OC } = sizes;
  const { a, A, B, SR, own, ...places } = adapters;
  const [b, db, da, dadded] = ["b", "db", "da", "dadded"].map(own);
  const dB = sliceTensor(grads, layout.slice(`${name}.lora_B`));
  const [narrow, wide] = [
    { N, C: SR, OC, plane: OC * SR, splits: 1 },
    { N, C, OC: SR, plane },
  ];
  return [
    adapterSpread(ops.device, b, B, { ...places, OC }),
    ops.matmulBackward(da, db, dout, a, b, narrow),
    adapterGather(ops.device, dB, db, places),
    ops.matmulBackward(dadded, across(`${name}.lora_A`), da, inp, A, wide),
    ops.matmulResidualBackwardInput(dinp, dadded, dout, weight, sizes),
  ];
}
