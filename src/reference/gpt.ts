// The model in float64: forward as a list of operations, backward as the same list upside down. What takes long yields
// between its parts; a small model's step is one piece, and no slower for it.

import { type Relu, reluOf } from "../choices.ts";
import type { Config } from "../config.ts";
import { type Dims, ParameterLayout } from "../model/parameters.ts";
import type { Batch } from "../text/batches.ts";
import { attentionBackwardKv, attentionBackwardQ, attentionForward } from "./attention.ts";
import * as ops from "./ops.ts";
import { finish, partsOf } from "./parts.ts";

/** What a layer keeps of its forward pass for the backward pass. */
function layerActivations(N: number, B: number, T: number, { C, NH }: Dims) {
  const values = (size: number) => new Float64Array(size);
  return {
    ln1: values(N * C), // (N, C)
    rstd1: values(N), // (N)
    qkv: values(N * 3 * C), // (N, 3C)
    att: values(N * C), // (N, C)
    stats: values(B * NH * T * 2), // (B, NH, T, 2)
    mid: values(N * C), // (N, C) the residual stream between attention and MLP
    ln2: values(N * C), // (N, C)
    rstd2: values(N), // (N)
    act: values(N * 4 * C), // (N, 4C)
    x: values(N * C), // (N, C) the residual stream after the layer
  };
}

/** The tensors of a flat array, by the table's names; made once, since a view costs as much as a small operation. */
function tensorsOf(layout: ParameterLayout, flat: Float64Array) {
  const view = (name: string) => {
    const { offset, size } = layout.slice(name);
    return flat.subarray(offset, offset + size);
  };
  return {
    wte: view("wte"),
    wpe: view("wpe"),
    lm_head: view("lm_head"),
    layers: Array.from({ length: layout.dims.L }, (_, l) => ({
      attn_wqkv: view(`layer${l}.attn_wqkv`),
      attn_wo: view(`layer${l}.attn_wo`),
      mlp_fc1: view(`layer${l}.mlp_fc1`),
      mlp_fc2: view(`layer${l}.mlp_fc2`),
    })),
  };
}

export class ReferenceGpt {
  readonly dims: Dims;
  readonly layout: ParameterLayout;
  /** Flat, in the layout's order. */
  readonly params: Float64Array;
  readonly grads: Float64Array;
  private readonly w: ReturnType<typeof tensorsOf>;
  private readonly dw: ReturnType<typeof tensorsOf>;
  private readonly activation: Relu;
  private readonly eps: number;

  // activations, made for up to B rows of T positions
  private capacity = { B: 0, T: 0 };
  private rstd!: Float64Array; // (N)
  private x!: Float64Array; // (N, C) the residual stream before the first layer
  private layers!: ReturnType<typeof layerActivations>[];
  private logits!: Float64Array; // (N, V), after loss() their gradient
  private losses!: Float64Array; // (N)
  private dx!: Float64Array; // (N, C) the residual stream's gradient
  private dln!: Float64Array; // (N, C)
  private dact!: Float64Array; // (N, 4C)
  private datt!: Float64Array; // (N, C)
  private delta!: Float64Array; // (B, NH, T)
  private dqkv!: Float64Array; // (N, 3C)

  constructor(
    config: Pick<Config, "activation" | "rmsnorm_eps">,
    dims: Dims,
    params: Float64Array,
  ) {
    this.dims = dims;
    this.layout = new ParameterLayout(dims);
    this.params = params;
    this.grads = new Float64Array(this.layout.size);
    this.w = tensorsOf(this.layout, this.params);
    this.dw = tensorsOf(this.layout, this.grads);
    this.activation = reluOf(config);
    this.eps = config.rmsnorm_eps;
  }

  private allocate(B: number, T: number): void {
    if (B <= this.capacity.B && T <= this.capacity.T) return;
    B = Math.max(B, this.capacity.B);
    T = Math.max(T, this.capacity.T);
    this.capacity = { B, T };
    const { C, V, NH, L } = this.dims;
    const N = B * T;
    const values = (size: number) => new Float64Array(size);
    this.rstd = values(N);
    this.x = values(N * C);
    this.layers = Array.from({ length: L }, () => layerActivations(N, B, T, this.dims));
    this.logits = values(N * V);
    this.losses = values(N);
    this.dx = values(N * C);
    this.dln = values(N * C);
    this.dact = values(N * 4 * C);
    this.datt = values(N * C);
    this.delta = values(B * NH * T);
    this.dqkv = values(N * 3 * C);
  }

  /** Logits (B, T, V) of a batch; valid until the next call. */
  forward(batch: Pick<Batch, "B" | "T" | "inputs">): Float64Array {
    return finish(this.forwardInParts(batch));
  }

  /** forward(), a moment's work at a time. */
  *forwardInParts({
    B,
    T,
    inputs,
  }: Pick<Batch, "B" | "T" | "inputs">): Generator<void, Float64Array> {
    this.allocate(B, T);
    const { C, V, NH, L } = this.dims;
    const { w, eps, activation } = this;
    const N = B * T;

    const embedding = { B, T, C, V, eps };
    ops.embeddingRmsnormForward(this.x, this.rstd, inputs, w.wte, w.wpe, embedding);
    let { x } = this;
    for (let l = 0; l < L; l++) {
      const a = this.layers[l];
      const wl = w.layers[l];
      ops.rmsnormForward(a.ln1, a.rstd1, x, { N, C, eps });
      for (const part of partsOf(6 * N * C * C)) {
        ops.matmulForward(a.qkv, a.ln1, wl.attn_wqkv, { N, C, OC: 3 * C }, part);
        if (part.count > 1) yield;
      }
      for (const part of partsOf(2 * N * T * C)) {
        attentionForward(a.att, a.stats, a.qkv, { B, T, C, NH }, part);
        if (part.count > 1) yield;
      }
      for (const part of partsOf(2 * N * C * C)) {
        ops.matmulResidualForward(a.mid, x, a.att, wl.attn_wo, { N, C, OC: C }, part);
        if (part.count > 1) yield;
      }
      ops.rmsnormForward(a.ln2, a.rstd2, a.mid, { N, C, eps });
      const fc1 = { N, C, OC: 4 * C, activation };
      for (const part of partsOf(8 * N * C * C)) {
        ops.matmulActivationForward(a.act, a.ln2, wl.mlp_fc1, fc1, part);
        if (part.count > 1) yield;
      }
      const fc2 = { N, C: 4 * C, OC: C };
      for (const part of partsOf(8 * N * C * C)) {
        ops.matmulResidualForward(a.x, a.mid, a.act, wl.mlp_fc2, fc2, part);
        if (part.count > 1) yield;
      }
      x = a.x;
    }
    for (const part of partsOf(2 * N * C * V)) {
      ops.matmulForward(this.logits, x, w.lm_head, { N, C, OC: V }, part);
      if (part.count > 1) yield;
    }
    return this.logits.subarray(0, N * V);
  }

  /**
   * Mean loss over the batch's positions that count, and the logits become its gradient; forward()
   * of the batch must have run just before.
   */
  loss(batch: Batch): number {
    return finish(this.lossInParts(batch));
  }

  *lossInParts({ B, T, targets, num_targets }: Batch): Generator<void, number> {
    const { V } = this.dims;
    const N = B * T;
    const scale = 1 / Math.max(num_targets, 1);
    for (const part of partsOf(10 * N * V)) {
      ops.crossEntropy(this.losses, this.logits, targets, { N, V, scale }, part);
      if (part.count > 1) yield;
    }
    return ops.meanLoss(this.losses, { N, scale });
  }

  /** All of `grads`; forward() and loss() of the batch must have run just before. */
  backward(batch: Batch): void {
    finish(this.backwardInParts(batch));
  }

  *backwardInParts({ B, T, inputs }: Batch): Generator<void, void> {
    const { C, V, NH, L } = this.dims;
    const { w, dw, dx, dln, dact, datt, delta, dqkv, activation } = this;
    const N = B * T;

    const dlogits = this.logits;
    const last = this.layers[L - 1].x;
    const head = { N, C, OC: V };
    for (const part of partsOf(4 * N * C * V)) {
      ops.matmulBackward(dx, dw.lm_head, dlogits, last, w.lm_head, head, part);
      if (part.count > 1) yield;
    }
    for (let l = L - 1; l >= 0; l--) {
      const a = this.layers[l];
      const wl = w.layers[l];
      const dwl = dw.layers[l];
      const fc2 = { N, C: 4 * C, OC: C, activation };
      for (const part of partsOf(16 * N * C * C)) {
        ops.matmulActivationBackward(dact, dwl.mlp_fc2, dx, a.act, wl.mlp_fc2, fc2, part);
        if (part.count > 1) yield;
      }
      const fc1 = { N, C, OC: 4 * C };
      for (const part of partsOf(16 * N * C * C)) {
        ops.matmulBackward(dln, dwl.mlp_fc1, dact, a.ln2, wl.mlp_fc1, fc1, part);
        if (part.count > 1) yield;
      }
      ops.rmsnormBackward(dx, dln, a.ln2, a.rstd2, { N, C, accumulate: true });
      for (const part of partsOf(4 * N * C * C)) {
        ops.matmulBackward(datt, dwl.attn_wo, dx, a.att, wl.attn_wo, { N, C, OC: C }, part);
        if (part.count > 1) yield;
      }
      const heads = { B, T, C, NH };
      for (const part of partsOf(3 * N * T * C)) {
        attentionBackwardQ(dqkv, delta, datt, a.att, a.qkv, a.stats, heads, part);
        if (part.count > 1) yield;
      }
      for (const part of partsOf(4 * N * T * C)) {
        attentionBackwardKv(dqkv, delta, datt, a.qkv, a.stats, heads, part);
        if (part.count > 1) yield;
      }
      const qkv = { N, C, OC: 3 * C };
      for (const part of partsOf(12 * N * C * C)) {
        ops.matmulBackward(dln, dwl.attn_wqkv, dqkv, a.ln1, wl.attn_wqkv, qkv, part);
        if (part.count > 1) yield;
      }
      ops.rmsnormBackward(dx, dln, a.ln1, a.rstd1, { N, C, accumulate: true });
    }
    const dencoded = dln;
    ops.rmsnormBackward(dencoded, dx, this.x, this.rstd, { N, C, accumulate: false });
    ops.embeddingBackward(dw.wte, dw.wpe, dencoded, inputs, { B, T, C, V });
  }
}
