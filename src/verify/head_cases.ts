// The cases of what happens to q and k between their product and attention: norm, gains and turn, each there or not.

import * as ops from "../model/head_ops.ts";
import { turnsOf, turnTable } from "../model/turns.ts";
import { headsBackward, headsForward } from "../reference/heads.ts";
import type { Values } from "../reference/values.ts";
import { NORM_BOUND } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

interface HeadCase {
  /** B, T, NH, NKV, HS */
  shape: number[];
  norm?: boolean;
  gain?: boolean;
  turn?: boolean;
  /** Rows of a workgroup in the backward pass. */
  rows?: number;
}

const cases: HeadCase[] = [
  { shape: [2, 5, 4, 2, 8], norm: true, gain: true, turn: true },
  { shape: [1, 7, 3, 1, 6], turn: true },
  { shape: [2, 3, 2, 2, 7], norm: true, gain: true },
  { shape: [1, 9, 6, 3, 34], norm: true, turn: true },
  { shape: [1, 3, 2, 1, 5], norm: true },
  { shape: [3, 17, 5, 5, 64], norm: true, gain: true, turn: true, rows: 5 },
  { shape: [1, 4, 2, 1, 300], norm: true, gain: true, turn: true, rows: 3 },
  { shape: [2, 2, 1, 1, 2], turn: true },
];

export function headCases(normal: Normal): KernelCase[] {
  return cases.flatMap((it) => headPair(it, normal));
}

function headPair({ shape, norm, gain, turn, ...given }: HeadCase, normal: Normal): KernelCase[] {
  const [B, T, NH, NKV, HS] = shape;
  const sizes = { B, T, NH, NKV, HS };
  const N = B * T;
  const { rows, parts, plane } = ops.headParts(N, HS, given.rows);
  const size = N * (NH + 2 * NKV) * HS;
  const normed = N * (NH + NKV);
  const kinds = [norm && "norm", gain && "gains", turn && "turn"].filter(Boolean).join(", ");
  const name = `B ${B}, T ${T}, NH ${NH}, NKV ${NKV}, HS ${HS}: ${kinds}${rows > 1 ? `, ${rows} rows at a time` : ""}`;
  const qkv = normal(size);
  const eps = 1e-5;
  const rstd = new Float32Array(normed);
  headsForward(new Float32Array(size), rstd, qkv, undefined, undefined, { ...sizes, eps });
  const inputs = {
    ...(gain && { q_gain: normal(HS), k_gain: normal(HS) }),
    ...(turn && { turns: turnTable(turnsOf(100, { T, HS })) }),
  };
  const gainsOf = <Of>(of: Record<string, Of>) => (gain ? { q: of.q_gain, k: of.k_gain } : null);
  return [
    {
      kernel: "heads_forward",
      name,
      inputs: { qkv, ...inputs },
      outputs: {
        out: { size, allowed: NORM_BOUND },
        ...(norm && { rstd: { size: normed, allowed: NORM_BOUND } }),
      },
      half: [["qkv", "out"]],
      dispatch: ({ device }, t) =>
        ops.headsForward(device, t.out, t.rstd ?? null, t.qkv, gainsOf(t), t.turns ?? null, {
          ...sizes,
          eps,
        }),
      reference: ({ out, rstd }, { values: v }) =>
        headsForward(out, rstd, v.qkv, gainsOf(v) ?? undefined, turnsIn(v), { ...sizes, eps }),
    },
    {
      kernel: "heads_backward",
      name,
      inputs: { ...(norm && { qkv, rstd }), ...inputs },
      outputs: {
        dqkv: { size, allowed: NORM_BOUND, initial: normal(size) },
        // Behind the parts of q's and of k's stays what stood there.
        ...(gain && {
          dgains: { size: 2 * plane, allowed: NORM_BOUND, initial: normal(2 * plane) },
        }),
      },
      // A pipeline with more room shows nothing more in f16.
      half: HS > 64 ? [] : [norm ? ["dqkv", "qkv"] : ["dqkv"]],
      dispatch: ({ device }, t) =>
        ops.headsBackward(
          device,
          t.dqkv,
          t.dgains ?? null,
          t.qkv ?? null,
          t.rstd ?? null,
          gainsOf(t),
          t.turns ?? null,
          { ...sizes, ...given },
        ),
      reference: ({ dqkv, dgains: all }, { values: v }) => {
        for (const first of [0, plane]) all?.fill(0, first, first + parts * HS);
        // Row by row: a part's rows need not be whole sequences.
        for (let n = 0; n < N; n++) {
          const row = { B: 1, T: 1, NH, NKV, HS };
          const line = (of: Values) =>
            (of as Float64Array).subarray((n * of.length) / N, ((n + 1) * of.length) / N);
          const dgains = gain && { q: new Float64Array(HS), k: new Float64Array(HS) };
          const [d, x] = [line(dqkv), norm ? line(v.qkv) : v.qkv];
          const turns = turnsIn(v, n % T, HS);
          headsBackward(
            d,
            dgains || undefined,
            d,
            x,
            norm ? line(v.rstd) : undefined,
            gainsOf(v) ?? undefined,
            turns,
            row,
          );
          if (!dgains) continue;
          const first = Math.floor(n / rows) * HS;
          dgains.q.forEach((value, c) => (all[first + c] += value));
          dgains.k.forEach((value, c) => (all[plane + first + c] += value));
        }
      },
    },
  ];
}

/** The angles of all positions, or of one. */
function turnsIn({ turns }: Record<string, Values | undefined>, t = 0, HS = 0) {
  if (!turns) return undefined;
  const part = (turns as Float64Array).subarray(t * HS, HS > 0 ? (t + 1) * HS : undefined);
  return { cos: part.filter((_, i) => i % 2 === 0), sin: part.filter((_, i) => i % 2 === 1) };
}
