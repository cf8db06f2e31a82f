// The cases of what becomes of each element by itself: activations, the logits' cap, dropout.

import { isGated } from "../choices.ts";
import type { Config } from "../config.ts";
import { dropped, DropoutWords } from "../model/dropout.ts";
import { activationBackward, activationForward, softcapForward } from "../reference/activations.ts";
import { dropout, dropoutResidual } from "../reference/dropout.ts";
import { ELEMENT_BOUND, NORM_BOUND } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";
import { stepData } from "./optimizer_cases.ts";

export function elementCases(normal: Normal): KernelCase[] {
  return [...activationCases(normal), ...softcapCases(normal), ...dropoutCases(normal)];
}

function activationCases(normal: Normal): KernelCase[] {
  const shapes = [
    [1, 1],
    [3, 7],
    [33, 65],
    [16, 64],
  ];
  // f16's largest numbers, where tanh and sigmoid end, and both zeros.
  const extremes = [65504, -65504, 100, -100, 88.5, -88.5, 10, -10, 9.5, -9.5, 1e-4, -1e-4, 0, -0];
  const largest = { gelu: Infinity, swiglu: Infinity, relu: Infinity, relu_squared: 200 }; // whose square f16 has too
  const activations = ["gelu", "swiglu", "relu", "relu_squared"] as const;
  return activations.flatMap((activation) => {
    const wide = isGated(activation) ? 2 : 1;
    const pair = (N: number, H: number, name: string, pre: Float32Array, allowed = NORM_BOUND) =>
      activationPair(normal, { N, H, activation }, `${activation}, ${name}`, pre, allowed);
    const most = largest[activation];
    const end = (i: number) => Math.max(-most, Math.min(most, extremes[i % 14]));
    const ends = Float32Array.from({ length: 14 * wide }, (_, i) => end(i));
    if (wide === 2) ends.set([1, -1, 0.5, 2, -3, 7, 1, 1, 1, 1, 1, 1, 1, 1], 14);
    return [
      ...shapes.flatMap(([N, H]) => pair(N, H, `N ${N}, H ${H}`, normal(N * H * wide, 2))),
      ...pair(1, 14, "far from zero", ends),
      // An exponential's relative error is its argument's absolute one.
      ...pair(
        1,
        40,
        "below zero",
        normal(40 * wide, 2).map((x) => -1 - Math.abs(x)),
        1e-5,
      ),
    ];
  });
}

function activationPair(
  normal: Normal,
  sizes: { N: number; H: number; activation: Config["activation"] },
  name: string,
  pre: Float32Array,
  allowed: number,
): KernelCase[] {
  const size = sizes.N * sizes.H;
  return [
    {
      kernel: "activation_forward",
      name,
      inputs: { pre },
      outputs: { act: { size, allowed } },
      half: [["act", "pre"]],
      dispatch: (ops, t) => ops.activationForward(t.act, t.pre, sizes),
      reference: ({ act }, { values }) => activationForward(act, values.pre, sizes),
    },
    {
      kernel: "activation_backward",
      name,
      inputs: { dact: normal(size, 0.1), pre },
      outputs: { dpre: { size: pre.length, allowed } },
      half: [["dpre", "dact", "pre"]],
      dispatch: (ops, t) => ops.activationBackward(t.dpre, t.dact, t.pre, sizes),
      reference: ({ dpre }, { values: v }) => activationBackward(dpre, v.dact, v.pre, sizes),
    },
  ];
}

function softcapCases(normal: Normal): KernelCase[] {
  const one = (N: number, V: number, name: string, softcap: number, initial: Float32Array) =>
    ({
      kernel: "softcap_forward",
      name: `${name}, softcap ${softcap}`,
      inputs: {},
      outputs: { logits: { size: N * V, allowed: NORM_BOUND, initial } },
      dispatch: (ops, t) => ops.softcapForward(t.logits, { N, V, softcap }),
      reference: (o) => softcapForward(o.logits, { N, V, softcap }),
    }) satisfies KernelCase;
  return [
    one(1, 1, "N 1, V 1", 15, normal(1)),
    one(7, 65, "N 7, V 65", 15, normal(7 * 65, 10)),
    one(3, 33, "small logits", 30, normal(99, 1e-3)),
    one(1, 6, "logits up to ±1e30", 1, Float32Array.of(1e30, -1e30, 0, -0, 0.25, -0.25)),
  ];
}

function dropoutCases(normal: Normal): KernelCase[] {
  const seed = 2 ** 40 + 42;
  const step = 2 ** 33 + 8; // from 1
  const one = (
    kernel: "dropout" | "dropout_residual",
    [B, T, C, row]: number[],
    options: { dropout?: number; step?: number } = {},
  ): KernelCase => {
    const { dropout: part = 0.3, step: at = step } = options;
    const tensor = dropped.mlp(1);
    const size = B * T * C;
    const key = { seed, step: at - 1, tensor };
    const sizes = { B, T, C, dropout: part };
    const told = Object.entries(options).map(([name, value]) => `, ${name} ${value}`);
    const residual = kernel === "dropout_residual";
    return {
      kernel,
      name: `B ${B}, T ${T}, C ${C}, row ${row}${told.join("")}`,
      inputs: {
        [residual ? "x" : "inp"]: normal(size),
        step_data: stepData({ step: at, row }),
      },
      outputs: {
        out: { size, allowed: ELEMENT_BOUND, initial: residual ? normal(size) : undefined },
      },
      dispatch: (ops, t) => {
        const all = { ...sizes, seed, tensor };
        return residual
          ? ops.dropoutResidual(t.out, t.x, t.step_data, all)
          : ops.dropout(t.out, t.inp, t.step_data, all);
      },
      reference: ({ out }, { values: v }) => {
        const all = { ...sizes, context: T, row };
        if (residual) dropoutResidual(out, v.x, key, all);
        else dropout(out, v.inp, key, all);
      },
    };
  };
  const word = new DropoutWords({ seed, step: step - 1, tensor: dropped.mlp(1) }).at(7);
  return [
    one("dropout", [1, 1, 1, 0]),
    one("dropout", [5, 7, 45, 3]),
    one("dropout", [2, 3, 5, 2], { dropout: 0.9 }),
    one("dropout", [3, 16, 4, 1], { step: 1 }),
    one("dropout", [1, 4, 5, 0], { dropout: word / 2 ** 32 }), // the element of that word is kept
    one("dropout", [1, 5, 3, 2 ** 31 + 7]), // its elements are beyond 2^32
    one("dropout_residual", [1, 1, 1, 2]),
    one("dropout_residual", [5, 7, 27, 3]),
    one("dropout_residual", [2, 9, 16, 0], { dropout: 0.5 }),
  ];
}
