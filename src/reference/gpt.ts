// The model in float64: forward as a list of operations, backward as the same list upside down.

import type { Config } from "../config.ts";
import { type Dims, ParameterLayout } from "../model/parameters.ts";
import type { Batch } from "../text/batches.ts";
import { attentionBackwardKv, attentionBackwardQ, attentionForward } from "./attention.ts";
import * as ops from "./ops.ts";

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

export class ReferenceGpt {
  readonly dims: Dims;
  readonly layout: ParameterLayout;
  /** Flat, in the layout's order. */
  readonly params: Float64Array;
  readonly grads: Float64Array;
  private readonly activation: Config["activation"];
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
    this.activation = config.activation;
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

  private view(flat: Float64Array, name: string): Float64Array {
    const { offset, size } = this.layout.slice(name);
    return flat.subarray(offset, offset + size);
  }

  /** Logits (B, T, V) of a batch; valid until the next call. */
  forward({ B, T, inputs }: Pick<Batch, "B" | "T" | "inputs">): Float64Array {
    this.allocate(B, T);
    const { C, V, NH, L } = this.dims;
    const { eps, activation } = this;
    const N = B * T;
    const w = (name: string) => this.view(this.params, name);

    const embedding = { B, T, C, V, eps };
    ops.embeddingRmsnormForward(this.x, this.rstd, inputs, w("wte"), w("wpe"), embedding);
    let { x } = this;
    for (let l = 0; l < L; l++) {
      const a = this.layers[l];
      ops.rmsnormForward(a.ln1, a.rstd1, x, { N, C, eps });
      ops.matmulForward(a.qkv, a.ln1, w(`layer${l}.attn_wqkv`), { N, C, OC: 3 * C });
      attentionForward(a.att, a.stats, a.qkv, { B, T, C, NH });
      ops.matmulResidualForward(a.mid, x, a.att, w(`layer${l}.attn_wo`), { N, C, OC: C });
      ops.rmsnormForward(a.ln2, a.rstd2, a.mid, { N, C, eps });
      const fc1 = { N, C, OC: 4 * C, activation };
      ops.matmulActivationForward(a.act, a.ln2, w(`layer${l}.mlp_fc1`), fc1);
      const fc2 = { N, C: 4 * C, OC: C };
      ops.matmulResidualForward(a.x, a.mid, a.act, w(`layer${l}.mlp_fc2`), fc2);
      x = a.x;
    }
    ops.matmulForward(this.logits, x, w("lm_head"), { N, C, OC: V });
    return this.logits.subarray(0, N * V);
  }

  /**
   * Mean loss over the batch's positions that count, and the logits become its gradient; forward()
   * of the batch must have run just before.
   */
  loss({ B, T, targets, num_targets }: Batch): number {
    const { V } = this.dims;
    const N = B * T;
    const scale = 1 / Math.max(num_targets, 1);
    ops.crossEntropy(this.losses, this.logits, targets, { N, V, scale });
    return ops.meanLoss(this.losses, { N, scale });
  }

  /** All of `grads`; forward() and loss() of the batch must have run just before. */
  backward({ B, T, inputs }: Batch): void {
    const { C, V, NH, L } = this.dims;
    const { dx, dln, dact, datt, delta, dqkv, activation } = this;
    const N = B * T;
    const w = (name: string) => this.view(this.params, name);
    const dw = (name: string) => this.view(this.grads, name);

    const dlogits = this.logits;
    const last = this.layers[L - 1].x;
    const head = { N, C, OC: V };
    ops.matmulBackward(dx, dw("lm_head"), dlogits, last, w("lm_head"), head);
    for (let l = L - 1; l >= 0; l--) {
      const a = this.layers[l];
      const wl = (name: string) => w(`layer${l}.${name}`);
      const dwl = (name: string) => dw(`layer${l}.${name}`);
      const fc2 = { N, C: 4 * C, OC: C, activation };
      ops.matmulActivationBackward(dact, dwl("mlp_fc2"), dx, a.act, wl("mlp_fc2"), fc2);
      const fc1 = { N, C, OC: 4 * C };
      ops.matmulBackward(dln, dwl("mlp_fc1"), dact, a.ln2, wl("mlp_fc1"), fc1);
      ops.rmsnormBackward(dx, dln, a.ln2, a.rstd2, { N, C, accumulate: true });
      ops.matmulBackward(datt, dwl("attn_wo"), dx, a.att, wl("attn_wo"), { N, C, OC: C });
      attentionBackwardQ(dqkv, delta, datt, a.att, a.qkv, a.stats, { B, T, C, NH });
      attentionBackwardKv(dqkv, delta, datt, a.qkv, a.stats, { B, T, C, NH });
      const qkv = { N, C, OC: 3 * C };
      ops.matmulBackward(dln, dwl("attn_wqkv"), dqkv, a.ln1, wl("attn_wqkv"), qkv);
      ops.rmsnormBackward(dx, dln, a.ln1, a.rstd1, { N, C, accumulate: true });
    }
    const dencoded = dln;
    ops.rmsnormBackward(dencoded, dx, this.x, this.rstd, { N, C, accumulate: false });
    ops.embeddingBackward(dw("wte"), dw("wpe"), dencoded, inputs, { B, T, C, V });
  }
}
