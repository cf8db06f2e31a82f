// The training pass of a small model as a list of operations that small_train.wgsl carries out one after the
// other: forward, and the same upside down. The general twin of this file is gpu_gpt.ts.

import type { Dims } from "../model/parameters.ts";
import { type Matrix, SmallLayout } from "./layout.ts";

/** In the order of the kernel's switch. */
const kinds = [
  "embedding_forward",
  "matmul_forward",
  "matmul_backward_weight",
  "matmul_backward_input",
  "rmsnorm_backward",
  "embedding_backward",
  "cross_entropy",
  "attention_forward",
  "attention_backward_q",
  "attention_backward_kv",
] as const;

const flags = { ACTIVATED: 1, OUTPUT: 2, TOGETHER: 4 };
const NONE = 0xffffffff;

/** Operations that the kernel's uniform has room for. */
export const MAX_OPERATIONS = 512;

/** How many a model's program has. */
export function operationCount({ L }: Dims): number {
  return 7 + 17 * L;
}

/** The kernel's struct `Operation`: what it does, on which rows of activations (NONE where absent). */
interface Operation {
  kind: (typeof kinds)[number];
  /** First row that it writes. */
  out?: number;
  /** First rows that it reads: of the forward pass, and of a gradient. */
  inp?: number;
  dout?: number;
  /** Where a norm keeps 1 / rms. */
  rstd?: number;
  /** First row that is added to the output; in attention's backward pass the forward pass's output. */
  residual?: number;
  /** Rows (3, NH) of attention: largest scores, 1 / sums of exponentials, deltas. */
  stats?: number;
  weight?: Matrix;
  flags?: number;
}

/** First row of each activation; a row is one channel of all positions. */
export function smallRows({ L, C, NH, V }: Dims) {
  let end = 0;
  const rows = (count: number) => (end += count) - count;
  const layer = () => ({
    mid: rows(C), // the residual stream between attention and MLP
    qkv: rows(3 * C),
    att: rows(C),
    wide: rows(4 * C), // the MLP's inside; then its gradient; then dqkv (3C) and datt (C)
    rstd1: rows(1),
    rstd2: rows(1),
    stats: rows(3 * NH),
  });
  return {
    x: Array.from({ length: L + 1 }, () => rows(C)), // the residual stream before and after each layer
    layers: Array.from({ length: L }, layer),
    rstd: rows(1),
    spare: rows(Math.max(V, C)), // logits; then their gradient; then dln
    dx: rows(C), // the residual stream's gradient
    count: end,
  };
}

/** A document's tokens to loss and gradients. */
function smallProgram(dims: Dims): Operation[] {
  const { L } = dims;
  const { x, layers, rstd, spare, dx } = smallRows(dims);
  const layout = new SmallLayout(dims);
  const w = (name: string) => layout.matrix(name);
  const { TOGETHER, ACTIVATED, OUTPUT } = flags;
  const wl = (l: number, name: string) => w(`layer${l}.${name}`);
  const datt = (wide: number) => wide + 3 * dims.C;

  const forward: Operation[] = [
    { kind: "embedding_forward", out: x[0], rstd },
    ...layers.flatMap(({ mid, qkv, att, wide, rstd1, rstd2, stats }, l): Operation[] => [
      { kind: "matmul_forward", out: qkv, inp: x[l], rstd: rstd1, weight: wl(l, "attn_wqkv") },
      { kind: "attention_forward", out: att, stats, inp: qkv },
      { kind: "matmul_forward", out: mid, inp: att, weight: wl(l, "attn_wo"), residual: x[l] },
      {
        kind: "matmul_forward",
        out: wide,
        inp: mid,
        rstd: rstd2,
        weight: wl(l, "mlp_fc1"),
        flags: ACTIVATED,
      },
      { kind: "matmul_forward", out: x[l + 1], inp: wide, weight: wl(l, "mlp_fc2"), residual: mid },
    ]),
    { kind: "matmul_forward", out: spare, inp: x[L], weight: w("lm_head") },
    { kind: "cross_entropy", out: spare },
  ];
  const backward: Operation[] = [
    {
      kind: "matmul_backward_weight",
      dout: spare,
      inp: x[L],
      weight: w("lm_head"),
      flags: TOGETHER,
    },
    { kind: "matmul_backward_input", out: dx, dout: spare, weight: w("lm_head") },
    ...layers
      .map(({ mid, qkv, att, wide, rstd1, rstd2, stats }, l): Operation[] => [
        { kind: "matmul_backward_weight", dout: dx, inp: wide, weight: wl(l, "mlp_fc2") },
        {
          kind: "matmul_backward_input",
          out: wide,
          dout: dx,
          weight: wl(l, "mlp_fc2"),
          flags: ACTIVATED,
        },
        {
          kind: "matmul_backward_weight",
          dout: wide,
          inp: mid,
          rstd: rstd2,
          weight: wl(l, "mlp_fc1"),
          flags: TOGETHER,
        },
        { kind: "matmul_backward_input", out: spare, dout: wide, weight: wl(l, "mlp_fc1") },
        { kind: "rmsnorm_backward", out: dx, dout: spare, inp: mid, rstd: rstd2, residual: dx },
        {
          kind: "matmul_backward_weight",
          dout: dx,
          inp: att,
          weight: wl(l, "attn_wo"),
          flags: TOGETHER,
        },
        { kind: "matmul_backward_input", out: datt(wide), dout: dx, weight: wl(l, "attn_wo") },
        {
          kind: "attention_backward_q",
          out: wide,
          dout: datt(wide),
          residual: att,
          inp: qkv,
          stats,
        },
        { kind: "attention_backward_kv", out: wide, dout: datt(wide), inp: qkv, stats },
        {
          kind: "matmul_backward_weight",
          dout: wide,
          inp: x[l],
          rstd: rstd1,
          weight: wl(l, "attn_wqkv"),
          flags: TOGETHER,
        },
        { kind: "matmul_backward_input", out: spare, dout: wide, weight: wl(l, "attn_wqkv") },
        { kind: "rmsnorm_backward", out: dx, dout: spare, inp: x[l], rstd: rstd1, residual: dx },
      ])
      .toReversed()
      .flat(),
    { kind: "rmsnorm_backward", out: spare, dout: dx, inp: x[0], rstd, flags: OUTPUT },
    { kind: "embedding_backward", dout: spare },
  ];
  return [...forward, ...backward];
}

/** Fields of the kernel's struct `Operation`. */
const OPERATION_FIELDS = 12;

/** The program as the kernel's uniform holds it. */
export function packProgram(dims: Dims): Uint32Array<ArrayBuffer> {
  const list = smallProgram(dims);
  const words = new Uint32Array(MAX_OPERATIONS * OPERATION_FIELDS);
  list.forEach(({ kind, weight, ...op }, k) => {
    const { out = 0, inp = 0, dout = 0, stats = 0, rstd = NONE, residual = NONE, flags = 0 } = op;
    // Where there is no matrix, OC holds the heads over which threads are spread.
    const heads = kind === "cross_entropy" ? 1 : dims.NH;
    const { first = 0, row = 0, OC = heads, IC = 0 } = weight ?? {};
    const rows = [out, inp, dout, rstd, residual, stats];
    words.set([kinds.indexOf(kind), ...rows, flags, first, row, OC, IC], k * OPERATION_FIELDS);
  });
  return words;
}
