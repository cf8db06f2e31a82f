// The cases of the embeddings: with the norm behind them and without, positions that are learned and such that are not.

import { sortByToken } from "../model/step_data.ts";
import * as ref from "../reference/ops.ts";
import { ELEMENT_BOUND, NORM_BOUND, UNIT_ROUNDOFF } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

type DrawIds = (size: number, V: number) => Int32Array;

/** Ids, one of them outside the vocabulary, and their positions by token. */
function sorted(ids: DrawIds, N: number, V: number) {
  const tokens = ids(N, V);
  if (N > 1) tokens[N >> 1] = V;
  const order = new Uint32Array(N);
  const starts = new Uint32Array(V + 1);
  sortByToken(order, starts, tokens);
  return { tokens, order, starts };
}

/** As microgpt's models have them. */
export function embeddingCases(
  normal: Normal,
  ids: DrawIds,
  [B, C, V]: number[],
  T: number,
): KernelCase[] {
  const N = B * T;
  const { tokens, order, starts } = sorted(ids, N, V);
  const name = `B ${B}, T ${T}, C ${C}, V ${V}`;
  const eps = 1e-5;
  return [
    {
      kernel: "embedding_rmsnorm_forward",
      name,
      inputs: { ids: tokens, wte: normal(V * C), wpe: normal(T * C) },
      outputs: {
        out: { size: N * C, allowed: NORM_BOUND },
        rstd: { size: N, allowed: NORM_BOUND },
      },
      half: [["wte", "wpe"]],
      dispatch: (ops, t) =>
        ops.embeddingRmsnormForward(t.out, t.rstd, t.ids, t.wte, t.wpe, { B, T, C, V, eps }),
      reference: ({ out, rstd }, { values: v, ids: i }) =>
        ref.embeddingRmsnormForward(out, rstd, i.ids, v.wte, v.wpe, { B, T, C, V, eps }),
    },
    {
      kernel: "embedding_backward",
      name,
      inputs: { ids: tokens, order, starts, dout: normal(N * C) },
      outputs: {
        dwte: { size: V * C, allowed: UNIT_ROUNDOFF * Math.sqrt(N) },
        dwpe: { size: T * C, allowed: UNIT_ROUNDOFF * Math.sqrt(B) },
      },
      dispatch: (ops, t) =>
        ops.embeddingBackward(t.dwte, t.dwpe, t.dout, t.order, t.starts, { B, T, C, V }),
      reference: ({ dwte, dwpe }, { values, ids: i }) =>
        ref.embeddingBackward(dwte, dwpe, values.dout, i.ids, { B, T, C, V }),
    },
  ];
}

/** [B, T, C, V] */
const shapes = [
  [1, 1, 1, 1],
  [2, 7, 3, 33],
  [3, 5, 17, 7],
  [2, 31, 64, 129],
];

/** Without the norm, without positions, and with a share that already stands in the tokens' gradient. */
export function plainEmbeddingCases(normal: Normal, ids: DrawIds): KernelCase[] {
  return shapes.flatMap(([B, T, C, V]) =>
    [true, false].flatMap((learned): KernelCase[] => {
      const N = B * T;
      const sizes = { B, T, C, V };
      const eps = 1e-5;
      const { tokens, order, starts } = sorted(ids, N, V);
      const name = `B ${B}, T ${T}, C ${C}, V ${V}${learned ? "" : ", no positions"}`;
      const inputs = {
        ids: tokens,
        wte: normal(V * C),
        ...(learned && { wpe: normal(T * C) }),
      };
      const backward = (accumulate: boolean): KernelCase => ({
        kernel: "embedding_backward",
        name: accumulate ? `${name}, accumulating` : name,
        inputs: { ids: tokens, order, starts, dout: normal(N * C) },
        outputs: {
          dwte: {
            size: V * C,
            allowed: UNIT_ROUNDOFF * Math.sqrt(N) + ELEMENT_BOUND,
            initial: accumulate ? normal(V * C) : undefined,
          },
          ...(learned && { dwpe: { size: T * C, allowed: UNIT_ROUNDOFF * Math.sqrt(B) } }),
        },
        dispatch: (ops, t) =>
          ops.embeddingBackward(t.dwte, t.dwpe, t.dout, t.order, t.starts, {
            ...sizes,
            accumulate,
          }),
        reference: ({ dwte, dwpe }, { values, ids: i }) =>
          ref.embeddingBackward(dwte, dwpe, values.dout, i.ids, { ...sizes, accumulate }),
      });
      return [
        {
          kernel: "embedding_forward",
          name,
          inputs,
          outputs: { out: { size: N * C, allowed: ELEMENT_BOUND } },
          half: [learned ? ["wte", "wpe"] : ["wte"]],
          dispatch: (ops, t) => ops.embeddingForward(t.out, t.ids, t.wte, t.wpe, sizes),
          reference: ({ out }, { values: v, ids: i }) =>
            ref.embeddingForward(out, i.ids, v.wte, v.wpe, sizes),
        },
        pieceCase(normal, ids, [B, T, C, V], learned),
        backward(true),
        ...(learned
          ? []
          : [
              backward(false),
              {
                kernel: "embedding_rmsnorm_forward",
                name,
                inputs,
                outputs: {
                  out: { size: N * C, allowed: NORM_BOUND },
                  rstd: { size: N, allowed: NORM_BOUND },
                },
                dispatch: (ops, t) =>
                  ops.embeddingRmsnormForward(t.out, t.rstd, t.ids, t.wte, t.wpe, {
                    ...sizes,
                    eps,
                  }),
                reference: ({ out, rstd }, { values: v, ids: i }) =>
                  ref.embeddingRmsnormForward(out, rstd, i.ids, v.wte, v.wpe, { ...sizes, eps }),
              } satisfies KernelCase,
            ]),
      ];
    }),
  );
}

/** A later piece of the table, whose tokens are added to what stands there. */
function pieceCase(
  normal: Normal,
  ids: DrawIds,
  [B, T, C, V]: number[],
  learned: boolean,
): KernelCase {
  const first = 1 + (V >> 1);
  const N = B * T;
  const rows = V + (learned ? 0 : 3);
  return {
    kernel: "embedding_forward",
    name: `B ${B}, T ${T}, C ${C}, V ${V}, ${rows} rows from ${first} on`,
    inputs: { ids: ids(N, 2 * V), wte: normal(rows * C) },
    outputs: { out: { size: N * C, allowed: ELEMENT_BOUND, initial: normal(N * C) } },
    half: [["wte"]],
    dispatch: (ops, t) =>
      ops.embeddingForward(t.out, t.ids, t.wte, undefined, { B, T, C, V: rows, first }),
    reference: ({ out }, { values: v, ids: i }) => {
      const moved = Int32Array.from(i.ids as Int32Array, (id) => id - first);
      const added = new Float64Array(N * C);
      ref.embeddingForward(added, moved, v.wte, undefined, { B, T, C, V: rows });
      added.forEach((value, at) => (out[at] += value));
    },
  };
}
