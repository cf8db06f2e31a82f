// The cases of what adapters beside frozen weights take: products without a weight's gradient, and the way of their Bs
// into one weight and back.

import * as ops from "../model/adapter_ops.ts";
import {
  adapterGather,
  adapterSpread,
  matmulResidualBackwardInput,
} from "../reference/adapters.ts";
import { matmulBackwardInput } from "../reference/ops.ts";
import { ELEMENT_BOUND, UNIT_ROUNDOFF } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

/** [OC, R, rows that each part makes] */
const places: [number, number, [number, number][]][] = [
  [1, 1, [[0, 1]]],
  [7, 3, [[0, 7]]],
  [
    33,
    4,
    [
      [0, 16],
      [16, 17],
      [17, 33],
    ],
  ],
  [
    30,
    3,
    [
      [4, 9],
      [12, 19],
      [20, 29],
    ],
  ], // with rows between them
  [40, 5, [[24, 40]]], // v alone
  [
    129,
    8,
    [
      [0, 65],
      [97, 129],
    ],
  ], // q and v
];

export function adapterCases(normal: Normal): KernelCase[] {
  return [
    ...places.flatMap(([OC, R, ranges]) => placed(normal, OC, R, ranges)),
    ...[
      [1, 1, 1],
      [3, 7, 2],
      [33, 65, 17],
      [67, 64, 136],
      [36, 68, 8],
    ].flatMap((sizes) => products(normal, sizes)),
  ];
}

function placed(
  normal: Normal,
  OC: number,
  R: number,
  ranges: readonly (readonly [number, number])[],
): KernelCase[] {
  const parts = ranges.map(([begin, end]) => ({ target: "q" as const, begin, end }));
  const sizes = { R, parts, scale: 2.5 };
  const rows = ranges.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const SR = R * parts.length;
  const name = `OC ${OC}, R ${R}, rows ${ranges.map((range) => range.join("-")).join(", ")}`;
  return [
    {
      kernel: "adapter_spread",
      name,
      inputs: { b: normal(rows * R) },
      outputs: { out: { size: OC * SR, allowed: ELEMENT_BOUND } },
      half: [["out"]],
      dispatch: ({ device }, { out, b }) => ops.adapterSpread(device, out, b, { ...sizes, OC }),
      reference: ({ out }, { values }) => adapterSpread(out, values.b, { ...sizes, OC }),
    },
    {
      kernel: "adapter_gather",
      name,
      inputs: { dweight: normal(OC * SR) },
      outputs: { db: { size: rows * R, allowed: ELEMENT_BOUND } },
      dispatch: ({ device }, { db, dweight }) => ops.adapterGather(device, db, dweight, sizes),
      reference: ({ db }, { values }) => adapterGather(db, values.dweight, sizes),
    },
  ];
}

function products(normal: Normal, [N, C, OC]: number[]): KernelCase[] {
  const sizes = { N, C, OC };
  const name = `N ${N}, C ${C}, OC ${OC}`;
  const inputs = { dout: normal(N * OC), weight: normal(OC * C) };
  const allowed = 2 * UNIT_ROUNDOFF * Math.sqrt(OC) + ELEMENT_BOUND;
  const outputs = { dinp: { size: N * C, allowed } };
  return [
    {
      kernel: "matmul_backward_input",
      name,
      inputs,
      outputs,
      half: [["weight", "dinp"]],
      dispatch: (gpu, t) => gpu.matmulBackwardInput(t.dinp, t.dout, t.weight, sizes),
      reference: ({ dinp }, { values: v }) => matmulBackwardInput(dinp, v.dout, v.weight, sizes),
    },
    {
      kernel: "matmul_residual_backward_input",
      name,
      inputs: { ...inputs, x: normal(N * C) },
      outputs,
      half: [["dout", "weight"]],
      dispatch: (gpu, t) => gpu.matmulResidualBackwardInput(t.dinp, t.x, t.dout, t.weight, sizes),
      reference: ({ dinp }, { values: v }) =>
        matmulResidualBackwardInput(dinp, v.x, v.dout, v.weight, sizes),
    },
  ];
}
