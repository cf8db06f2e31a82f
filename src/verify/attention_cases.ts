// The cases of the attention kernels: sequence lengths, head sizes and batches that fit no chunk, large scores, heads of
// k and v that several of q share.

import { fromHalves, toHalves } from "../device/half.ts";
import * as ref from "../reference/attention.ts";
import { UNIT_ROUNDOFF } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

/** [B, T, NH, HS] */
const shapes = [
  [1, 1, 1, 1],
  [1, 2, 3, 1],
  [2, 3, 2, 3],
  [1, 7, 4, 4],
  [3, 15, 1, 7],
  [1, 16, 4, 4],
  [2, 17, 3, 8],
  [1, 31, 2, 15],
  [2, 33, 1, 17],
  [1, 63, 2, 31],
  [1, 64, 1, 64],
  [2, 65, 2, 33],
  [1, 127, 1, 65],
  [1, 129, 2, 16],
  [1, 9, 1, 129],
  [2, 1, 3, 4],
  [2, 33, 3, 12],
  [1, 70, 2, 20],
  [1, 97, 2, 100],
  [3, 65, 2, 64],
  [1, 130, 1, 128],
];

/** The same, and NKV; of heads that compile anyway, the first in f16 too. */
const grouped = [
  [1, 65, 4, 64, 1],
  [2, 17, 3, 15, 1],
  [2, 33, 4, 12, 2],
  [1, 70, 6, 20, 2],
];

export function attentionCases(normal: Normal): KernelCase[] {
  return [
    ...shapes.flatMap(([B, T, NH, HS]) =>
      attentionTriple(`B ${B}, T ${T}, NH ${NH}, HS ${HS}`, [B, T, NH, HS], 1, normal),
    ),
    ...attentionTriple("scores up to ±300", [1, 40, 2, 20], 10, normal),
    ...attentionTriple("scores that rise from key to key", [1, 100, 2, 8], 8, normal, true),
    ...attentionTriple("queries and keys of zero", [1, 20, 2, 4], 0, normal),
    ...attentionTriple("B 4, T 64, NH 1, HS 64, in 2 dispatches", [4, 64, 1, 64], 1, normal).map(
      (test) => ({ ...test, parts: 2 }),
    ),
    ...grouped.flatMap(([B, T, NH, HS, NKV]) => {
      const name = `B ${B}, T ${T}, NH ${NH}, NKV ${NKV}, HS ${HS}`;
      return attentionTriple(name, [B, T, NH, HS, NKV], 1, normal);
    }),
  ];
}

function attentionTriple(
  name: string,
  [B, T, NH, HS, NKV = NH]: number[],
  std: number,
  normal: Normal,
  rising = false,
): KernelCase[] {
  const C = NH * HS;
  const N = B * T;
  const W = C + 2 * NKV * HS;
  const sizes = { B, T, C, NH, NKV };
  const drawn = normal(N * W).map((x, i) => {
    if (i % W >= C + NKV * HS) return x;
    const position = Math.floor(i / W) % T;
    return rising ? (Math.abs(x) * std * position) / T : x * std;
  });
  // Numbers that f16 has too, so that stats are of the same scores with both types.
  const qkv = fromHalves(toHalves(drawn));
  // An exponential's relative error is its argument's absolute one: about u times the largest score.
  const largest = Math.max(1, std * std * Math.sqrt(HS)) * 4;
  const allowed = 1e-6 + largest * UNIT_ROUNDOFF;
  const backward = 4 * allowed; // differences of products with p, which nearly cancel in dscore

  const out = new Float32Array(N * C);
  const stats = new Float32Array(B * NH * T * 2);
  const delta = new Float32Array(B * NH * T);
  const dout = normal(N * C);
  ref.attentionForward(out, stats, qkv, sizes);
  ref.attentionBackwardQ(new Float32Array(N * W), delta, dout, out, qkv, stats, sizes);
  const dqkv = { size: N * W, allowed: backward, initial: normal(N * W) };
  return [
    {
      kernel: "attention_forward",
      name,
      inputs: { qkv },
      outputs: {
        out: { size: N * C, allowed },
        stats: { size: stats.length, allowed, unrounded: true },
      },
      half: [["qkv", "out"]],
      dispatch: (ops, t) => ops.attentionForward(t.out, t.stats, t.qkv, sizes),
      reference: (o, { values }) => ref.attentionForward(o.out, o.stats, values.qkv, sizes),
    },
    {
      kernel: "attention_backward_q",
      name,
      inputs: { dout, out, qkv, stats },
      outputs: { dqkv, delta: { size: delta.length, allowed: backward, unrounded: true } },
      half: [["dqkv", "dout", "out", "qkv"]],
      dispatch: (ops, t) =>
        ops.attentionBackwardQ(t.dqkv, t.delta, t.dout, t.out, t.qkv, t.stats, sizes),
      reference: (o, { values: v }) =>
        ref.attentionBackwardQ(o.dqkv, o.delta, v.dout, v.out, v.qkv, v.stats, sizes),
    },
    {
      kernel: "attention_backward_kv",
      name,
      inputs: { delta, dout, qkv, stats },
      outputs: { dqkv },
      half: [["dqkv", "dout", "qkv"]],
      dispatch: (ops, t) => ops.attentionBackwardKv(t.dqkv, t.delta, t.dout, t.qkv, t.stats, sizes),
      reference: (o, { values: v }) =>
        ref.attentionBackwardKv(o.dqkv, v.delta, v.dout, v.qkv, v.stats, sizes),
    },
  ];
}
