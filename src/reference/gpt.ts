// The model in float64: forward as a list of operations, backward as the same list upside down. What takes long yields
// between its parts; a small model's step is one piece, and no slower for it.

import { finish } from "../finish.ts";
import { isRope } from "../choices.ts";
import { dropped } from "../model/dropout.ts";
import { frozenDims, linearNames, type LinearName, scaleOf } from "../model/adapters.ts";
import { type ForwardConfig, fusedActivation } from "../model/forward_config.ts";
import { type Dims, mlpChannels, ParameterLayout, qkvChannels } from "../model/parameters.ts";
import { type Turns, turnsOf } from "../model/turns.ts";
import type { Batch } from "../text/batches.ts";
import { activationBackward, activationForward, softcapForward } from "./activations.ts";
import { attentionBackwardKv, attentionBackwardQ, attentionForward } from "./attention.ts";
import { dropout, dropoutResidual } from "./dropout.ts";
import { rmsnormGainBackward, rmsnormGainForward } from "./gains.ts";
import { headsBackward, headsForward } from "./heads.ts";
import * as ops from "./ops.ts";
import { type Linear, linearBackward, linearForward, linearOf, newScratch } from "./linear.ts";
import { inParts } from "./parts.ts";
import { Past } from "./past.ts";
import { activationsOf, tensorsOf } from "./tensors.ts";
import type { Values } from "./values.ts";

/** What a value of a smooth function takes, in operations of a product. */
const SMOOTH = 20;

type Inputs = Pick<Batch, "B" | "T" | "inputs">;

/** Which elements dropout leaves out. */
export interface Noise {
  /** Steps done before. */
  step: number;
  /** The batch's first row among those of the step, where it is a part of them; 0 where absent. */
  row?: number;
}

export class ReferenceGpt {
  readonly dims: Dims;
  readonly layout: ParameterLayout;
  /** Flat, in the layout's order: of a model with adapters these. */
  readonly params: Float64Array;
  readonly grads: Float64Array;
  private readonly w: ReturnType<typeof tensorsOf>;
  /** Undefined where the weights are frozen. */
  private readonly dw: ReturnType<typeof tensorsOf> | undefined;
  /** Of each layer, by name. */
  private readonly linears: readonly Record<LinearName, Linear>[];
  private readonly config: ForwardConfig;
  private readonly turns: Turns | undefined;
  /** Made for up to so many rows of so many positions. */
  private capacity = { B: 0, T: 0 };
  private a!: ReturnType<typeof activationsOf>;
  /** Where the gradients of norms go that are frozen. */
  private readonly frozen_gain: Float64Array;
  /** Of the forward pass before; undefined where nothing is left out. */
  private noise: Noise | undefined;

  /** @param frozen of a model with adapters the other weights, flat in the order of frozenDims()'s table */
  constructor(config: ForwardConfig, dims: Dims, params: Float64Array, frozen = params) {
    this.config = config;
    this.dims = dims;
    this.layout = new ParameterLayout(dims);
    this.params = params;
    this.grads = new Float64Array(this.layout.size);
    const weights = { layout: new ParameterLayout(frozenDims(dims)), params: frozen };
    this.w = tensorsOf(weights.layout, frozen);
    this.dw = dims.adapters ? undefined : tensorsOf(this.layout, this.grads);
    this.frozen_gain = new Float64Array(dims.C);
    const trained = { layout: this.layout, params, grads: this.grads, scale: scaleOf(config) };
    const scratch = newScratch();
    const linear = (l: number, name: LinearName) =>
      [name, linearOf(dims, l, name, weights, trained, scratch)] as const;
    this.linears = Array.from(
      { length: dims.L },
      (_, l) =>
        Object.fromEntries(linearNames.map((name) => linear(l, name))) as Record<
          LinearName,
          Linear
        >,
    );
    this.turns = isRope(config.position) ? turnsOf(config.rope_theta, dims) : undefined;
  }

  /** Of a text of which nothing was read. */
  past(): Past {
    return new Past(this.dims, this.turns);
  }

  private allocate(B: number, T: number): void {
    if (B <= this.capacity.B && T <= this.capacity.T) return;
    B = Math.max(B, this.capacity.B);
    T = Math.max(T, this.capacity.T);
    this.capacity = { B, T };
    this.a = activationsOf(this.config, this.dims, B, T);
  }

  /**
   * Logits (B, T, V) of a batch; valid until the next call.
   * @param noise the step that is being trained; undefined where dropout leaves out nothing
   */
  forward(batch: Inputs, noise?: Noise): Float64Array {
    return finish(this.forwardInParts(batch, noise));
  }

  /**
   * forward(), a moment's work at a time.
   * @param past of the text that the batch, then of one row, goes on with; it has what comes of this batch too in the
   *   end. Of the logits there are the last position's alone, (V)
   */
  *forwardInParts(
    { B, T, inputs }: Inputs,
    noise?: Noise,
    past?: Past,
  ): Generator<void, Float64Array> {
    this.allocate(B, T);
    this.noise = this.config.dropout > 0 ? noise : undefined;
    const { w, a: all, turns } = this;
    const { C, V, NH, NKV, HS, H, L } = this.dims;
    const { activation, rmsnorm_eps: eps, logit_softcap: softcap } = this.config;
    const [W, A, IN] = [qkvChannels(this.dims), NH * HS, mlpChannels(this.dims)];
    const N = B * T;
    const first = past?.length ?? 0;

    if (this.config.embedding_norm) {
      const sizes = { B, T, C, V, eps, first };
      ops.embeddingRmsnormForward(all.encoded, all.rstd, inputs, w.wte, w.wpe, sizes);
    } else {
      ops.embeddingForward(all.encoded, inputs, w.wte, w.wpe, { B, T, C, V, first });
    }
    let x = this.dropped(all.x, all.encoded, dropped.embedding, B, T);
    for (let l = 0; l < L; l++) {
      const a = all.layers[l];
      const wl = w.layers[l];
      const linear = this.linears[l];
      this.norm(a.ln1, a.rstd1, x, wl.attn_norm, N);
      yield* linearForward(linear.attn_wqkv, a.qkv, a.ln1, { N, C, OC: W });
      if (a.heads !== a.qkv) {
        const sizes = { B, T, NH, NKV, HS, eps, first };
        headsForward(a.heads, a.rstdh, a.qkv, wl.head_gains, turns, sizes);
      }
      const keys = past && { values: past.put(l, a.heads, T), first };
      yield* inParts(2 * N * (first + T) * A, (part) =>
        attentionForward(a.att, a.stats, a.heads, { B, T, C: A, NH, NKV }, part, keys),
      );
      yield* this.branch(a.mid, x, a.att, linear.attn_wo, A, dropped.attention(l), B, T);
      this.norm(a.ln2, a.rstd2, a.mid, wl.mlp_norm, N);
      const { pre } = a;
      if (pre) {
        yield* linearForward(linear.mlp_in, pre, a.ln2, { N, C, OC: IN });
        yield* inParts(SMOOTH * N * H, (part) =>
          activationForward(a.act, pre, { N, H, activation }, part),
        );
      } else {
        const sizes = { N, C, OC: H, activation: fusedActivation(this.config)! };
        yield* inParts(2 * N * C * H, (part) =>
          ops.matmulActivationForward(a.act, a.ln2, wl.mlp_in, sizes, part),
        );
      }
      yield* this.branch(a.x, a.mid, a.act, linear.mlp_fc2, H, dropped.mlp(l), B, T);
      x = a.x;
    }
    if (all.lnf) {
      this.norm(all.lnf, all.rstdf, x, w.final_norm, N);
      x = all.lnf;
    }
    const rows = past ? 1 : N;
    const last = past ? x.subarray((N - 1) * C) : x;
    yield* inParts(2 * rows * C * V, (part) =>
      ops.matmulForward(all.logits, last, w.head, { N: rows, C, OC: V }, part),
    );
    if (softcap > 0) {
      yield* inParts(SMOOTH * rows * V, (part) =>
        softcapForward(all.logits, { N: rows, V, softcap }, part),
      );
    }
    if (past) past.length += T;
    return all.logits.subarray(0, rows * V);
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
    const { losses, logits } = this.a;
    const N = B * T;
    const scale = 1 / Math.max(num_targets, 1);
    const sizes = { N, V, scale, softcap: this.config.logit_softcap };
    yield* inParts(10 * N * V, (part) => ops.crossEntropy(losses, logits, targets, sizes, part));
    return ops.meanLoss(losses, { N, scale });
  }

  /** All of `grads`; forward() and loss() of the batch must have run just before. */
  backward(batch: Batch): void {
    finish(this.backwardInParts(batch));
  }

  *backwardInParts({ B, T, inputs }: Batch): Generator<void, void> {
    const { w, dw, a: all, turns } = this;
    const { dx, dln, dact, dpre, datt, delta, dqkv, encoded } = all;
    const { C, V, NH, NKV, HS, H, L } = this.dims;
    const { activation } = this.config;
    const [W, A, IN] = [qkvChannels(this.dims), NH * HS, mlpChannels(this.dims)];
    const N = B * T;
    const stream = (l: number) => (l > 0 ? all.layers[l - 1].x : this.noise ? all.x : encoded);

    const dlogits = all.logits;
    const [dlast, last] = all.lnf ? [dln, all.lnf] : [dx, stream(L)];
    const head = { weight: w.head, dweight: dw?.head, adapters: undefined };
    yield* linearBackward(head, dlast, dlogits, last, { N, C, OC: V });
    if (all.lnf) {
      const normed = { out: all.lnf, inp: stream(L), rstd: all.rstdf };
      this.normBackward(dx, dw?.final_norm, dln, normed, w.final_norm, N, false);
    }
    for (let l = L - 1; l >= 0; l--) {
      const a = all.layers[l];
      const wl = w.layers[l];
      const dwl = dw?.layers[l];
      const linear = this.linears[l];
      const dmlp = this.dropped(all.branch, dx, dropped.mlp(l), B, T);
      const { pre } = a;
      if (pre) {
        yield* linearBackward(linear.mlp_fc2, dact, dmlp, a.act, { N, C: H, OC: C });
        yield* inParts(2 * SMOOTH * N * H, (part) =>
          activationBackward(dpre, dact, pre, { N, H, activation }, part),
        );
      } else {
        const sizes = { N, C: H, OC: C, activation: fusedActivation(this.config)! };
        yield* inParts(4 * N * C * H, (part) =>
          ops.matmulActivationBackward(dpre, dwl!.mlp_fc2, dmlp, a.act, wl.mlp_fc2, sizes, part),
        );
      }
      yield* linearBackward(linear.mlp_in, dln, dpre, a.ln2, { N, C, OC: IN });
      const mlp = { out: a.ln2, inp: a.mid, rstd: a.rstd2 };
      this.normBackward(dx, dwl?.mlp_norm, dln, mlp, wl.mlp_norm, N, true);
      const dattention = this.dropped(all.branch, dx, dropped.attention(l), B, T);
      yield* linearBackward(linear.attn_wo, datt, dattention, a.att, { N, C: A, OC: C });
      const heads = { B, T, C: A, NH, NKV };
      yield* inParts(3 * N * T * A, (part) =>
        attentionBackwardQ(dqkv, delta, datt, a.att, a.heads, a.stats, heads, part),
      );
      yield* inParts(4 * N * T * A, (part) =>
        attentionBackwardKv(dqkv, delta, datt, a.heads, a.stats, heads, part),
      );
      if (a.heads !== a.qkv) {
        const sizes = { B, T, NH, NKV, HS };
        const { head_gains } = wl;
        headsBackward(dqkv, dwl?.head_gains, dqkv, a.qkv, a.rstdh, head_gains, turns, sizes);
      }
      yield* linearBackward(linear.attn_wqkv, dln, dqkv, a.ln1, { N, C, OC: W });
      const attention = { out: a.ln1, inp: stream(l), rstd: a.rstd1 };
      this.normBackward(dx, dwl?.attn_norm, dln, attention, wl.attn_norm, N, true);
    }
    if (!dw) return;
    const dencoded = this.dropped(all.branch, dx, dropped.embedding, B, T);
    let dembedding = dencoded;
    if (this.config.embedding_norm) {
      dembedding = dln;
      const sizes = { N, C, accumulate: false };
      ops.rmsnormBackward(dembedding, dencoded, encoded, all.rstd, sizes);
    }
    const sizes = { B, T, C, V, accumulate: !this.dims.lm_head };
    ops.embeddingBackward(dw.wte, dw.wpe, dembedding, inputs, sizes);
  }

  private norm(out: Values, rstd: Values, inp: Values, gain: Values | undefined, N: number): void {
    const sizes = { N, C: this.dims.C, eps: this.config.rmsnorm_eps };
    if (gain) rmsnormGainForward(out, rstd, inp, gain, sizes);
    else ops.rmsnormForward(out, rstd, inp, sizes);
  }

  private normBackward(
    dinp: Values,
    dgain: Values | undefined,
    dout: Values,
    { out, inp, rstd }: Record<"out" | "inp" | "rstd", Values>,
    gain: Values | undefined,
    N: number,
    accumulate: boolean,
  ): void {
    const sizes = { N, C: this.dims.C, accumulate };
    const { frozen_gain } = this;
    if (gain) rmsnormGainBackward(dinp, dgain ?? frozen_gain, dout, inp, rstd, gain, sizes);
    else ops.rmsnormBackward(dinp, dout, out, rstd, sizes);
  }

  /** out (N, C) = x + dropout(linear(inp (N, IC))). */
  private *branch(
    out: Values,
    x: Values,
    inp: Values,
    linear: Linear,
    IC: number,
    tensor: number,
    B: number,
    T: number,
  ): Generator<void, void> {
    const { C } = this.dims;
    const sizes = { N: B * T, C: IC, OC: C };
    if (!this.noise) {
      yield* linearForward(linear, out, inp, sizes, x);
      return;
    }
    yield* linearForward(linear, out, inp, sizes);
    dropoutResidual(out, x, ...this.leftOut(this.noise, tensor, B, T));
  }

  /** What dropout leaves of inp (B, T, C), in out; inp itself where it leaves out nothing. */
  private dropped<V extends Values>(
    out: V | undefined,
    inp: V,
    tensor: number,
    B: number,
    T: number,
  ): V {
    const { noise } = this;
    if (!noise || !out) return inp;
    dropout(out, inp, ...this.leftOut(noise, tensor, B, T));
    return out;
  }

  /** What dropout leaves out of a tensor of the batch. */
  private leftOut({ step, row = 0 }: Noise, tensor: number, B: number, T: number) {
    const { seed, dropout } = this.config;
    const { C, T: context } = this.dims;
    return [
      { seed, step, tensor },
      { B, T, C, context, row, dropout },
    ] as const;
  }
}
