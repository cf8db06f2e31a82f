// The cases of rows of texts that are continued: each row has a slot, a position and a token of its own.

import * as ops from "../model/text_ops.ts";
import { turnsOf, turnTable } from "../model/turns.ts";
import * as ref from "../reference/text_rows.ts";
import { ELEMENT_BOUND, NORM_BOUND, UNIT_ROUNDOFF } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

/** A row in each of some of the slots, the last ones first, at positions from none to the last. */
function rowsOf(N: number, slots: number, T: number, V = 1): Uint32Array {
  const rows = Array.from({ length: N }, (_, n) => {
    const position = n === 0 ? T - 1 : (n * 5) % T;
    return [slots - 1 - (n % slots), position, (n * 7 + 1) % V, 0];
  });
  return Uint32Array.from(rows.flat());
}

export function textCases(normal: Normal): KernelCase[] {
  return [
    ...[
      [1, 1, 1, 1],
      [5, 9, 33, 7],
      [3, 130, 200, 50],
    ].flatMap((sizes) =>
      [true, false].flatMap((learned) =>
        [true, false].map((norm) => embeddingCase(normal, sizes, learned, norm)),
      ),
    ),
    ...heads.map((it) => headsCase(normal, it)),
    ...[
      [1, 1, 1, 1, 1, 1],
      [4, 3, 70, 4, 2, 6],
      [3, 3, 33, 3, 1, 12],
      [2, 2, 300, 2, 2, 64],
      [2, 4, 1050, 2, 1, 5],
      [5, 8, 17, 6, 3, 130],
    ].flatMap((sizes) => [1, 20].map((std) => attentionCase(normal, sizes, std))),
    ...[
      [2, 11, 2, 6, 1],
      [1, 1, 1, 2, 0],
      [3, 64, 1, 32, 1],
      [2, 9, 3, 2, 0],
    ].map((sizes) => slideCase(normal, sizes)),
  ];
}

function embeddingCase(
  normal: Normal,
  [N, T, C, V]: number[],
  learned: boolean,
  norm: boolean,
): KernelCase {
  const eps = norm ? 1e-5 : undefined;
  const rows = rowsOf(N, N, T, V);
  if (N > 2) rows[2 * ops.ROW_FIELDS + 2] = V; // outside the vocabulary
  const kinds = [`N ${N}, T ${T}, C ${C}, V ${V}`, learned && "positions", norm && "norm"];
  return {
    kernel: "embedding_rows",
    name: kinds.filter(Boolean).join(", "),
    inputs: { rows, wte: normal(V * C), ...(learned && { wpe: normal(T * C) }) },
    outputs: { out: { size: N * C, allowed: norm ? NORM_BOUND : ELEMENT_BOUND } },
    half: [learned ? ["wte", "wpe"] : ["wte"]],
    dispatch: ({ device }, t) =>
      ops.embeddingRows(device, t.out, t.rows, t.wte, t.wpe, { N, T, C, V, eps }),
    reference: ({ out }, { values: v }) =>
      ref.embeddingRows(out, v.rows, v.wte, v.wpe, { N, C, V, eps }),
  };
}

interface HeadCase {
  /** N, T, NH, NKV, HS */
  shape: number[];
  norm?: boolean;
  gain?: boolean;
  turn?: boolean;
}

const heads: HeadCase[] = [
  { shape: [3, 5, 4, 2, 8], norm: true, gain: true, turn: true },
  { shape: [1, 1, 1, 1, 1] },
  { shape: [4, 7, 3, 1, 6], turn: true },
  { shape: [2, 3, 2, 2, 7], norm: true, gain: true },
  { shape: [3, 9, 6, 3, 34], norm: true, turn: true },
  { shape: [2, 33, 5, 5, 64] },
  { shape: [2, 4, 2, 1, 300], norm: true, gain: true, turn: true },
];

function headsCase(normal: Normal, { shape, norm = false, gain, turn }: HeadCase): KernelCase {
  const [N, T, NH, NKV, HS] = shape;
  const slots = N + 1;
  const sizes = { N, T, NH, NKV, HS, eps: 1e-5 };
  const size = slots * NKV * T * HS;
  const kinds = [norm && "norm", gain && "gains", turn && "turn"].filter(Boolean).join(", ");
  const gainsOf = <Of>(of: Record<string, Of>) => (gain ? { q: of.q_gain, k: of.k_gain } : null);
  const turns = turnsOf(100, { T, HS });
  const inputs = {
    rows: rowsOf(N, slots, T),
    qkv: normal(N * (NH + 2 * NKV) * HS),
    ...(gain && { q_gain: normal(HS), k_gain: normal(HS) }),
    ...(turn && { turns: turnTable(turns) }),
  };
  return {
    kernel: "heads_cache",
    name: `N ${N}, T ${T}, NH ${NH}, NKV ${NKV}, HS ${HS}: ${kinds || "as they are"}`,
    inputs,
    outputs: {
      q: { size: N * NH * HS, allowed: NORM_BOUND },
      keys: { size, allowed: NORM_BOUND, initial: normal(size) },
      values: { size, allowed: NORM_BOUND, initial: normal(size) },
    },
    half: [["keys", "values"]],
    dispatch: ({ device }, t) =>
      ops.headsCache(
        device,
        t.q,
        t.keys,
        t.values,
        t.qkv,
        t.rows,
        norm,
        gainsOf(t),
        t.turns ?? null,
        sizes,
      ),
    reference: (o, { values: v }) =>
      ref.headsCache(
        o.q,
        o.keys,
        o.values,
        v.qkv,
        v.rows,
        norm,
        gainsOf(v) ?? undefined,
        turn ? turns : undefined,
        sizes,
      ),
  };
}

/** @param sizes N, slots, T, NH, NKV, HS */
function attentionCase(
  normal: Normal,
  [N, slots, T, NH, NKV, HS]: number[],
  std: number,
): KernelCase {
  const sizes = { N, T, NH, NKV, HS };
  const size = slots * NKV * T * HS;
  const largest = Math.max(1, std * Math.sqrt(HS)) * 4;
  return {
    kernel: "attention_cache",
    name: `N ${N}, T ${T}, NH ${NH}, NKV ${NKV}, HS ${HS}${std > 1 ? `, queries of ±${std}` : ""}`,
    inputs: {
      rows: rowsOf(N, slots, T),
      q: normal(N * NH * HS, std),
      keys: normal(size),
      values: normal(size),
    },
    outputs: { out: { size: N * NH * HS, allowed: 1e-6 + largest * UNIT_ROUNDOFF } },
    half: [["keys", "values"]],
    dispatch: ({ device }, t) =>
      ops.attentionCache(device, t.out, t.q, t.keys, t.values, t.rows, sizes),
    reference: ({ out }, { values: v }) =>
      ref.attentionCache(out, v.q, v.keys, v.values, v.rows, sizes),
  };
}

/** @param sizes slots, all but one of which slide, T, NKV, HS, and the positions that are kept */
function slideCase(normal: Normal, [slots, T, NKV, HS, kept]: number[]): KernelCase {
  const N = Math.max(1, slots - 1);
  const sizes = { N, T, NKV, HS };
  const size = slots * NKV * T * HS;
  const count = Math.min(Math.max(1, Math.floor((T - kept) / 4)), T - 1);
  // Where there is a slot more, a slide that is none of the N.
  const slides = Array.from({ length: slots }, (_, n) => [slots - 1 - n, kept, count + (n % 2), 0]);
  const turns = turnsOf(100, { T, HS });
  return {
    kernel: "slide_cache",
    name: `${slots} slots, T ${T}, NKV ${NKV}, HS ${HS}`,
    inputs: { slides: Uint32Array.from(slides.flat()), turns: turnTable(turns) },
    outputs: {
      keys: { size, allowed: ELEMENT_BOUND, initial: normal(size) },
      values: { size, allowed: 0, initial: normal(size) },
    },
    half: [["keys", "values"]],
    dispatch: ({ device }, t) => ops.slideCache(device, t.keys, t.values, t.slides, t.turns, sizes),
    reference: (o, { values: v }) => ref.slideCache(o.keys, o.values, v.slides, turns, sizes),
  };
}
