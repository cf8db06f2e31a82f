// Every kernel's cases, for the tests and for `doctor`: odd shapes, extreme values, and the error allowed.
//
// Bounds: a product's relative error is at most u·√K (random signs, u = 2^-24); softmax, norms and
// cross-entropy 1e-6; an element's own arithmetic a few u.

import { PythonRandom } from "../random.ts";
import { softcapForward } from "../reference/activations.ts";
import * as ref from "../reference/ops.ts";
import { adapterCases } from "./adapter_cases.ts";
import { attentionCases } from "./attention_cases.ts";
import { ELEMENT_BOUND, NORM_BOUND, UNIT_ROUNDOFF } from "./compare.ts";
import { elementCases } from "./element_cases.ts";
import { embeddingCases, plainEmbeddingCases } from "./embedding_cases.ts";
import { headCases } from "./head_cases.ts";
import type { KernelCase } from "./kernel_case.ts";
import { gainCases, normCases } from "./norm_cases.ts";
import { optimizerCases, stepData } from "./optimizer_cases.ts";
import { sampleCases } from "./sample_cases.ts";
import { smallCases } from "./small_cases.ts";
import { drawCases } from "./draw_cases.ts";
import { textCases } from "./text_cases.ts";
import { updateCases } from "./update_cases.ts";

/** Sizes that are no multiple of any tile, and their neighbours that are. */
const ODD = [1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129];

/** Of one family of cases: those of the others do not change when cases are added to it. */
let random = new PythonRandom(1);

/** Normal values; float32, as both sides read them. */
function normal(size: number, std = 1): Float32Array {
  return Float32Array.from({ length: size }, () => random.gauss(0, std));
}

function ids(size: number, V: number): Int32Array {
  return Int32Array.from({ length: size }, () => Math.floor(random.random() * V));
}

/** Triples of odd sizes in which every size stands once at every place. */
const triples = ODD.map((a, i) => [a, ODD[(i * 5 + 3) % 14], ODD[(i * 11 + 6) % 14]]);
const pairs = triples.map(([a, b]) => [a, b]);

/** A fresh list; the values are the same each time. */
export function kernelCases(): KernelCase[] {
  const places = new Map<string, number>();
  const list = families.flatMap((cases) => {
    random = new PythonRandom(1);
    const list = cases();
    const again = list.filter(({ kernel, name }) => inRows[kernel] === name);
    const long = again.filter(({ kernel }) => kernel.startsWith("matmul"));
    return [...list, ...again.map(rowsOfTwo), ...long.map(inParts)];
  });
  return list.map((test) => {
    const place = places.get(test.kernel) ?? 0;
    places.set(test.kernel, place + 1);
    return { ...test, place };
  });
}

/** Cases that run once more on a grid of more than one row, as shapes have that need more workgroups than x can have. */
const inRows: Record<string, string> = {
  embedding_rmsnorm_forward: "B 3, T 31, C 129, V 1",
  embedding_forward: "B 2, T 31, C 64, V 129",
  embedding_backward: "B 3, T 31, C 129, V 1",
  rmsnorm_forward: "N 15, C 63",
  rmsnorm_backward: "N 15, C 63",
  rmsnorm_gain_backward: "N 33, C 64",
  gain_sum: "P 33, C 129",
  activation_forward: "gelu, N 33, H 65",
  activation_backward: "swiglu, N 33, H 65",
  softcap_forward: "N 7, V 65, softcap 15",
  dropout: "B 5, T 7, C 45, row 3",
  matmul_forward: "N 260, C 4, OC 132",
  matmul_backward: "N 260, C 4, OC 132, 3 parts",
  heads_forward: "B 2, T 5, NH 4, NKV 2, HS 8: norm, gains, turn",
  heads_backward: "B 2, T 5, NH 4, NKV 2, HS 8: norm, gains, turn",
  cross_entropy: "N 15, V 63",
  gradient_sum: "size 320, planes 2, scale 1",
  adamw: "size 1000",
  sgd: "size 1000",
  muon_momentum: "rows 17, columns 33",
  muon_normalize: "rows 17, columns 33",
  muon_polynomial: "n 31",
  muon_update: "rows 17, columns 33",
  accumulate: "size 1000, planes 3, the third",
  muon_transpose: "rows 17, columns 33",
  embedding_rows: "N 5, T 9, C 33, V 7, positions, norm",
  heads_cache: "N 3, T 5, NH 4, NKV 2, HS 8: norm, gains, turn",
  slide_cache: "3 slots, T 64, NKV 1, HS 32",
  draw_token: "N 3, V 27, temperature 0.8",
  adapter_spread: "OC 129, R 8, rows 0-65, 97-129",
  adapter_gather: "OC 129, R 8, rows 0-65, 97-129",
};

function rowsOfTwo(test: KernelCase): KernelCase {
  return { ...test, name: `${test.name}, in rows of 2 workgroups`, most: 2 };
}

function inParts(test: KernelCase): KernelCase {
  return { ...test, name: `${test.name}, in 3 dispatches`, parts: 3 };
}

const families: (() => KernelCase[])[] = [
  () => triples.flatMap((sizes, i) => embeddingCases(normal, ids, sizes, ODD[(i * 3 + 1) % 14])),
  () => plainEmbeddingCases(normal, ids),
  () => normCases(normal, pairs),
  () => gainCases(normal),
  () => [
    ...[
      ...triples,
      [2, 3, 50257],
      [1, 4096, 5],
      [300, 70, 130],
      [130, 132, 68],
      [67, 64, 136],
      [132, 64, 65], // lines of dout that begin within a vector
      [36, 68, 6],
      [260, 4, 132], // several of the largest tiles each way
    ].flatMap((sizes) => matmulCases(sizes)),
    ...matmulCases([40, 36, 72], 65504), // f16's largest number
  ],
  () => [...triples, [24, 16, 64], [130, 68, 132], [64, 36, 67]].flatMap(epilogueCases),
  () => [addedCase([33, 7, 17]), addedCase([36, 68, 132])],
  () => attentionCases(normal),
  () => headCases(normal),
  crossEntropyCases,
  cappedCases,
  () => elementCases(normal),
  () => optimizerCases(normal),
  () => updateCases(normal),
  () => smallCases(normal, ids),
  () => sampleCases(normal, ids),
  () => textCases(normal),
  () => drawCases(normal),
  () => adapterCases(normal),
];

/** @param largest operands are spread up to here */
function matmulCases([N, C, OC]: number[], largest = Infinity): KernelCase[] {
  const sizes = { N, C, OC };
  const wide = Number.isFinite(largest);
  const name = `N ${N}, C ${C}, OC ${OC}${wide ? `, up to ${largest}` : ""}`;
  const bound = (K: number) => UNIT_ROUNDOFF * Math.sqrt(K);
  const clip = (x: number) => Math.max(-largest, Math.min(largest, x));
  const operand = (size: number) => normal(size, wide ? largest / 2 : 1).map(clip);
  const inp = operand(N * C);
  const weight = operand(OC * C);
  const dout = operand(N * OC);
  return [
    {
      kernel: "matmul_forward",
      name,
      inputs: { inp, weight },
      outputs: { out: { size: N * OC, allowed: bound(C) } },
      half: wide ? [["inp", "weight"]] : [["out", "inp", "weight"], ["weight"]],
      dispatch: (ops, t) => ops.matmulForward(t.out, t.inp, t.weight, sizes),
      reference: ({ out }, { values: v }) => ref.matmulForward(out, v.inp, v.weight, sizes),
    },
    ...[1, 3].map((splits): KernelCase => ({
      kernel: "matmul_backward",
      name: splits === 1 ? name : `${name}, ${splits} parts`,
      inputs: { dout, inp, weight },
      outputs: {
        dinp: { size: N * C, allowed: bound(OC) },
        dweight: { size: splits * OC * C, allowed: bound(Math.ceil(N / splits)) },
      },
      half: [["dout", "inp", "weight"], ...(wide ? [] : [["inp", "weight", "dinp"], ["weight"]])],
      dispatch: (ops, t) =>
        ops.matmulBackward(t.dinp, t.dweight, t.dout, t.inp, t.weight, {
          ...sizes,
          plane: OC * C,
          splits,
        }),
      reference: ({ dinp, dweight }, { values: v }) =>
        ref.matmulBackward(dinp, dweight, v.dout, v.inp, v.weight, { ...sizes, splits }),
    })),
  ];
}

/** A weight's gradient that is added to what chunks of rows before have made. */
function addedCase([N, C, OC]: number[]): KernelCase {
  const sizes = { N, C, OC };
  const allowed = (K: number) => UNIT_ROUNDOFF * Math.sqrt(K) + ELEMENT_BOUND;
  return {
    kernel: "matmul_backward",
    name: `N ${N}, C ${C}, OC ${OC}, added`,
    inputs: { dout: normal(N * OC), inp: normal(N * C), weight: normal(OC * C) },
    outputs: {
      dinp: { size: N * C, allowed: allowed(OC) },
      dweight: { size: OC * C, allowed: allowed(N), initial: normal(OC * C) },
    },
    half: [["dout", "inp", "weight"]],
    dispatch: (ops, t) => {
      const added = { ...sizes, plane: OC * C, splits: 1, add: true };
      return ops.matmulBackward(t.dinp, t.dweight, t.dout, t.inp, t.weight, added);
    },
    reference: ({ dinp, dweight }, { values: v }) => {
      const before = dweight.slice();
      ref.matmulBackward(dinp, dweight, v.dout, v.inp, v.weight, sizes);
      before.forEach((value, i) => (dweight[i] += value));
    },
  };
}

/** The products that do more than multiply: what becomes of the sums. */
function epilogueCases([N, C, OC]: number[]): KernelCase[] {
  const sizes = { N, C, OC };
  const name = `N ${N}, C ${C}, OC ${OC}`;
  // The residual and the square are of the sums' own size or steeper.
  const bound = (K: number) => 2 * UNIT_ROUNDOFF * Math.sqrt(K) + ELEMENT_BOUND;
  const inp = normal(N * C);
  const weight = normal(OC * C);
  const dout = normal(N * OC);
  const activations = ["relu", "relu_squared"] as const;
  return [
    {
      kernel: "matmul_residual_forward",
      name,
      inputs: { x: normal(N * OC), inp, weight },
      outputs: { out: { size: N * OC, allowed: bound(C) } },
      half: [["inp", "weight"]],
      dispatch: (ops, t) => ops.matmulResidualForward(t.out, t.x, t.inp, t.weight, sizes),
      reference: ({ out }, { values: v }) =>
        ref.matmulResidualForward(out, v.x, v.inp, v.weight, sizes),
    },
    ...activations.flatMap((activation): KernelCase[] => [
      {
        kernel: "matmul_activation_forward",
        name: `${name}, ${activation}`,
        inputs: { inp, weight },
        outputs: { act: { size: N * OC, allowed: bound(C) } },
        half: [["act", "inp", "weight"]],
        dispatch: (ops, t) =>
          ops.matmulActivationForward(t.act, t.inp, t.weight, { ...sizes, activation }),
        reference: ({ act }, { values: v }) =>
          ref.matmulActivationForward(act, v.inp, v.weight, { ...sizes, activation }),
      },
      {
        kernel: "matmul_activation_backward",
        name: `${name}, ${activation}`,
        // an activation's output: nothing below zero, and much of it zero
        inputs: { dout, weight, act: normal(N * C).map((x) => Math.max(x, 0)) },
        outputs: {
          dx: { size: N * C, allowed: bound(OC) },
          dweight: { size: OC * C, allowed: bound(N) },
        },
        half: [["weight", "act", "dx"]],
        dispatch: (ops, t) =>
          ops.matmulActivationBackward(t.dx, t.dweight, t.dout, t.act, t.weight, {
            ...sizes,
            activation,
            plane: OC * C,
            splits: 1,
          }),
        reference: ({ dx, dweight }, { values: v }) =>
          ref.matmulActivationBackward(dx, dweight, v.dout, v.act, v.weight, {
            ...sizes,
            activation,
          }),
      },
    ]),
  ];
}

function crossEntropyCases(): KernelCase[] {
  const spike = normal(5 * 65, 0.1);
  spike[2 * 65 + 9] = 88.8;
  const places = normal(65 * 65).map((x, i) => (i % 66 === 0 ? 1e3 : x));
  const huge = normal(5 * 65).map((x) => 1e4 * Math.sign(x));
  return [
    ...[...pairs, [3, 50257]].map(([N, V]) =>
      crossEntropyCase(N, V, `N ${N}, V ${V}`, normal(N * V, 2)),
    ),
    crossEntropyCase(5, 65, "logits of ±1e4", huge),
    crossEntropyCase(5, 65, "in pieces of 24", normal(5 * 65, 2), { piece: 24 }),
    crossEntropyCase(4, 40, "in pieces of 20, softcap 3", normal(160), { piece: 20, softcap: 3 }),
    crossEntropyCase(5, 65, "all logits equal", new Float32Array(5 * 65).fill(3.25)),
    crossEntropyCase(5, 65, "one logit of +88.8", spike),
    crossEntropyCase(65, 65, "a logit of +1e3, at every place", places),
    crossEntropyCase(4, 9, "every position ignored", normal(36), {
      targets: [-1, -1, 9, -1],
    }),
  ];
}

function cappedCases(): KernelCase[] {
  const capped = (N: number, V: number, std: number, softcap: number) =>
    crossEntropyCase(N, V, `N ${N}, V ${V}, softcap ${softcap}`, normal(N * V, std), { softcap });
  const huge = normal(5 * 65).map((x) => 1e4 * Math.sign(x));
  return [
    capped(7, 31, 2, 15),
    capped(4, 65, 40, 30),
    capped(3, 1000, 0.05, 1),
    capped(1, 1, 1, 15),
    crossEntropyCase(5, 65, "logits of ±1e4, softcap 15", huge, { softcap: 15 }),
    crossEntropyCase(3, 9, "every position ignored, softcap 15", normal(27), {
      targets: [-1, -1, 9],
      softcap: 15,
    }),
  ];
}

function crossEntropyCase(
  N: number,
  V: number,
  name: string,
  initial: Float32Array,
  {
    targets: fixed,
    softcap,
    piece = V,
  }: { targets?: number[]; softcap?: number; piece?: number } = {},
): KernelCase {
  /** Where the logits lie, row by row: in pieces of the vocabulary all rows of one come before those of the next. */
  const place = (i: number) => {
    const [n, v] = [Math.floor(i / V), i % V];
    const first = Math.floor(v / piece) * piece;
    return first * N + n * Math.min(piece, V - first) + v - first;
  };
  const targets = fixed ? Int32Array.from(fixed) : ids(N, V);
  if (!fixed && N > 2) targets.set([-1, V], 1); // ignored, and outside the vocabulary
  const scale = Math.fround(1 / N);
  const gradient_scale = N % 2 === 0 ? 1024 : 1;
  return {
    kernel: "cross_entropy",
    name,
    inputs: {
      targets,
      step_data: stepData({ loss_scale: scale }),
      scaler: Float32Array.of(gradient_scale, 3),
    },
    outputs: {
      losses: { size: N, allowed: NORM_BOUND },
      logits: { size: N * V, allowed: NORM_BOUND, initial },
    },
    dispatch: (ops, t) => {
      const sizes = { N, V, softcap, piece };
      return ops.crossEntropy(t.losses, t.logits, t.targets, t.step_data, t.scaler, sizes);
    },
    reference: ({ logits: placed, ...o }, { ids: i }) => {
      const logits = placed.map((_, i) => placed[place(i)]);
      if (softcap !== undefined) softcapForward(logits, { N, V, softcap });
      const sizes = { N, V, scale: scale * gradient_scale, softcap };
      ref.crossEntropy(o.losses, logits, i.targets, sizes);
      logits.forEach((value, at) => (placed[place(at)] = value));
    },
  };
}
