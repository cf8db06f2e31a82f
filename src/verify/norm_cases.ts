// The cases of RMSNorm, without a gain and with one.

import { gainParts } from "../model/row_ops.ts";
import * as gains from "../reference/gains.ts";
import * as ref from "../reference/ops.ts";
import { NORM_BOUND, UNIT_ROUNDOFF } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

export function normCases(normal: Normal, pairs: number[][]): KernelCase[] {
  return [
    ...pairs.flatMap(([N, C]) => rmsnormCases(normal, N, C, `N ${N}, C ${C}`, normal(N * C))),
    ...rmsnormCases(normal, 3, 17, "a row of zeros", normal(3 * 17).fill(0, 17, 34)),
    ...rmsnormCases(normal, 2, 4097, "C 4097", normal(2 * 4097)),
  ];
}

function rmsnormCases(
  normal: Normal,
  N: number,
  C: number,
  name: string,
  inp: Float32Array,
): KernelCase[] {
  const eps = 1e-5;
  const rstd = new Float32Array(N);
  const out = new Float32Array(N * C);
  ref.rmsnormForward(out, rstd, inp, { N, C, eps });
  const backward = (accumulate: boolean): KernelCase => ({
    kernel: "rmsnorm_backward",
    name: accumulate ? `${name}, accumulating` : name,
    inputs: { dout: normal(N * C), out, rstd },
    outputs: {
      // At C = 1 the gradient is what eps leaves of two numbers that cancel, eps / inp² of either.
      dinp: {
        size: N * C,
        allowed: C === 1 && !accumulate ? 0.1 : NORM_BOUND,
        initial: accumulate ? normal(N * C) : undefined,
      },
    },
    half: [["out"]],
    dispatch: (ops, t) => ops.rmsnormBackward(t.dinp, t.dout, t.out, t.rstd, { N, C, accumulate }),
    reference: ({ dinp }, { values: v }) =>
      ref.rmsnormBackward(dinp, v.dout, v.out, v.rstd, { N, C, accumulate }),
  });
  return [
    {
      kernel: "rmsnorm_forward",
      name,
      inputs: { inp },
      outputs: {
        out: { size: N * C, allowed: NORM_BOUND },
        rstd: { size: N, allowed: NORM_BOUND },
      },
      half: [["out"]],
      dispatch: (ops, t) => ops.rmsnormForward(t.out, t.rstd, t.inp, { N, C, eps }),
      reference: ({ out, rstd }, { values }) =>
        ref.rmsnormForward(out, rstd, values.inp, { N, C, eps }),
    },
    backward(true),
    backward(false),
  ];
}

/** Rows and channels: parts of several rows, of one, and such that get none. */
const shapes = [
  [1, 1],
  [2, 33],
  [7, 15],
  [33, 64],
  [129, 17],
  [8300, 3],
];

export function gainCases(normal: Normal): KernelCase[] {
  const zeros = normal(3 * 17).fill(0, 17, 34);
  return [
    ...shapes.flatMap(([N, C]) => gainTriple(normal, N, C, `N ${N}, C ${C}`, normal(N * C))),
    ...gainTriple(normal, 3, 17, "a row of zeros", zeros),
    ...gainTriple(normal, 2, 4097, "C 4097", normal(2 * 4097)),
    ...[
      [1, 1],
      [2, 7],
      [33, 129],
      [1000, 64],
    ].map(([P, C]) => sumCase(normal, P, C)),
  ];
}

function gainTriple(
  normal: Normal,
  N: number,
  C: number,
  name: string,
  inp: Float32Array,
): KernelCase[] {
  const eps = 1e-5;
  const gain = normal(C);
  if (C > 1) gain[C >> 1] = 0;
  const rstd = new Float32Array(N);
  gains.rmsnormGainForward(new Float32Array(N * C), rstd, inp, gain, { N, C, eps });
  const parts = gainParts(N);
  const backward = (accumulate: boolean): KernelCase => ({
    kernel: "rmsnorm_gain_backward",
    name: accumulate ? `${name}, accumulating` : name,
    inputs: { dout: normal(N * C), inp, rstd, gain },
    outputs: {
      // At C = 1 as without a gain.
      dinp: {
        size: N * C,
        allowed: C === 1 && !accumulate ? 0.1 : NORM_BOUND,
        initial: accumulate ? normal(N * C) : undefined,
      },
      dgain: { size: parts * C, allowed: NORM_BOUND },
    },
    dispatch: (ops, t) =>
      ops.rmsnormGainBackward(t.dinp, t.dgain, t.dout, t.inp, t.rstd, t.gain, { N, C, accumulate }),
    reference: ({ dinp, dgain }, { values: v }) => {
      const sizes = { N, C, accumulate, parts };
      gains.rmsnormGainBackward(dinp, dgain, v.dout, v.inp, v.rstd, v.gain, sizes);
    },
  });
  return [
    {
      kernel: "rmsnorm_gain_forward",
      name,
      inputs: { inp, gain },
      outputs: {
        out: { size: N * C, allowed: NORM_BOUND },
        rstd: { size: N, allowed: NORM_BOUND },
      },
      half: [["out"]],
      dispatch: (ops, t) => ops.rmsnormGainForward(t.out, t.rstd, t.inp, t.gain, { N, C, eps }),
      reference: ({ out, rstd }, { values: v }) =>
        gains.rmsnormGainForward(out, rstd, v.inp, v.gain, { N, C, eps }),
    },
    backward(true),
    backward(false),
  ];
}

function sumCase(normal: Normal, P: number, C: number): KernelCase {
  return {
    kernel: "gain_sum",
    name: `P ${P}, C ${C}`,
    inputs: { parts: normal(P * C) },
    outputs: { dgain: { size: C, allowed: NORM_BOUND + UNIT_ROUNDOFF * Math.sqrt(P) } },
    dispatch: (ops, t) => ops.gainSum(t.dgain, t.parts, { P, C }),
    reference: ({ dgain }, { values: v }) => gains.gainSum(dgain, v.parts, { P, C }),
  };
}
