// The cases of what SGD, Muon and steps in micro-batches take beside AdamW's.

import * as ops from "../model/optimizer_ops.ts";
import { clipFactor } from "../reference/ops.ts";
import * as ref from "../reference/optimizers.ts";
import { NORM_BOUND } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";
import { stepData } from "./optimizer_cases.ts";

/** What a step's record and its settings make of gradients; the norm is 2. */
interface Options {
  weight_decay?: number;
  grad_clip?: number;
  copied?: boolean;
  grad_norm?: number;
  grads?: Float32Array;
}

const settings: [string, Options][] = [
  [", weight decay, clipped", { weight_decay: 0.1, grad_clip: 0.5 }],
  [", norm below the clip, with a copy of the weights", { grad_clip: 5, copied: true }],
  [", gradients of infinity", { grad_norm: Infinity, copied: true }],
  [", gradients that are no numbers", { grad_norm: NaN }],
];

const matrices = [
  [1, 1],
  [7, 3],
  [3, 7],
  [16, 16],
  [17, 33],
  [65, 31],
];

export function updateCases(normal: Normal): KernelCase[] {
  return [
    ...[1, 1000].map((size) => sgdCase(normal, `size ${size}`, size, {})),
    ...settings.map(([name, options]) => sgdCase(normal, `size 129${name}`, 129, options)),
    ...matrices.flatMap((shape) => muonCases(normal, shape, "", {})),
    ...settings.flatMap(([name, options]) => muonCases(normal, [13, 9], name, options)),
    ...muonCases(normal, [5, 6], ", gradients of zero", { grads: new Float32Array(30) }),
    ...[1, 2, 8, 31, 65].map((n) => polynomialCase(normal, n)),
    ...[
      [1, 1, 0],
      [65, 1, 0],
      [1000, 3, 2],
      [7, 2, 1],
    ].map(([size, planes, micro]) => accumulateCase(normal, size, planes, micro)),
  ];
}

/** What a kernel reads of the step. */
function stepInputs({ grad_norm = 2 }: Options, lr: number, muon_lr = 0, micro = 0) {
  return {
    records: Float32Array.from([0, 0, 0, grad_norm]),
    step_data: stepData({ slot: 1, lr, muon_lr, micro }),
  };
}

function clipOf({ grad_clip = 0, grad_norm = 2 }: Options): number {
  return clipFactor(grad_clip, grad_norm);
}

function sgdCase(normal: Normal, name: string, size: number, options: Options): KernelCase {
  const { weight_decay = 0, grad_clip = 0, copied, grad_norm = 2 } = options;
  const [lr, momentum] = [0.5, 0.9];
  const out = { size, allowed: NORM_BOUND };
  return {
    kernel: "sgd",
    name,
    inputs: { grads: normal(size), ...stepInputs(options, lr) },
    outputs: {
      params: { ...out, initial: normal(size) },
      m: { ...out, initial: normal(size) },
      ...(copied && { weights: { ...out, initial: normal(size) } }),
    },
    half: copied ? [["weights"]] : [],
    dispatch: ({ device }, { params, m, weights = null, grads, records, step_data }) =>
      ops.sgd(
        device,
        params,
        m,
        weights,
        grads,
        { records, step_data },
        {
          momentum,
          weight_decay,
          grad_clip,
        },
      ),
    reference: (o, { values }) => {
      if (!Number.isFinite(grad_norm)) return;
      const clip = clipOf(options);
      ref.sgd(o.params, o.m, values.grads, { size, lr, momentum, weight_decay, clip });
      o.weights?.set(o.params);
    },
  };
}

/** A matrix behind another one in the same tensors; its way from gradients to parameters, kernel by kernel. */
function muonCases(
  normal: Normal,
  [rows, columns]: number[],
  which: string,
  options: Options,
): KernelCase[] {
  const { weight_decay = 0, grad_clip = 0, copied, grad_norm = 2 } = options;
  const [muon_lr, momentum] = [0.25, 0.95];
  const chunk = 64;
  const first = 5;
  const size = rows * columns;
  const { grads = normal(size) } = options;
  const finite = Number.isFinite(grad_norm);
  const name = `rows ${rows}, columns ${columns}${which}`;
  const place = { rows, columns, first };
  const mine = (flat: Float64Array) => flat.subarray(first, first + size);
  const behind = (flat: Float32Array) => Float32Array.of(...normal(first), ...flat);
  const whole = { size: first + size, allowed: NORM_BOUND };
  const x = normal(size);
  const partials = Float32Array.from({ length: Math.ceil(size / chunk) }, (_, p) =>
    x.subarray(p * chunk, (p + 1) * chunk).reduce((sum, value) => sum + value * value, 0),
  );
  const cases: KernelCase[] = [
    {
      kernel: "muon_update",
      name,
      inputs: { x, ...stepInputs(options, 0.5, muon_lr) },
      outputs: {
        params: { ...whole, initial: behind(normal(size)) },
        ...(copied && { weights: { ...whole, initial: behind(normal(size)) } }),
      },
      half: copied ? [["weights"]] : [],
      dispatch: ({ device }, { params, weights = null, x, records, step_data }) =>
        ops.muonUpdate(
          device,
          params,
          weights,
          x,
          { records, step_data },
          {
            ...place,
            weight_decay,
          },
        ),
      reference: (o, { values }) => {
        if (!finite) return;
        const sizes = { rows, columns, lr: muon_lr, weight_decay };
        ref.muonUpdate(mine(o.params), values.x, sizes);
        if (o.weights) mine(o.weights).set(mine(o.params));
      },
    },
    {
      kernel: "muon_normalize",
      name,
      inputs: { partials },
      outputs: { x: { size, allowed: NORM_BOUND, initial: x } },
      dispatch: ({ device }, t) => ops.muonNormalize(device, t.x, t.partials, { size, chunk }),
      reference: (o, { values }) => ref.muonNormalize(o.x, values.partials, { size, chunk }),
    },
  ];
  const momentumCase: KernelCase = {
    kernel: "muon_momentum",
    name,
    inputs: { grads: behind(grads), ...stepInputs(options, 0.5, muon_lr) },
    outputs: {
      m: { ...whole, initial: behind(normal(size)) },
      x: { size, allowed: NORM_BOUND },
      partials: { size: Math.ceil(size / chunk), allowed: NORM_BOUND },
    },
    dispatch: ({ device }, { m, x, partials, grads, records, step_data }) =>
      ops.muonMomentum(
        device,
        m,
        x,
        partials,
        grads,
        { records, step_data },
        {
          ...place,
          momentum,
          grad_clip,
          chunk,
        },
      ),
    reference: (o, { values }) => {
      const sizes = { rows, columns, momentum, chunk, clip: clipOf(options) };
      const m = finite ? mine(o.m) : mine(o.m).slice();
      ref.muonMomentum(m, o.x, o.partials, values.grads.subarray(first), sizes);
    },
  };
  const transposeCase: KernelCase = {
    kernel: "muon_transpose",
    name,
    inputs: { inp: x },
    outputs: { out: { size, allowed: NORM_BOUND } },
    dispatch: ({ device }, t) => ops.muonTranspose(device, t.out, t.inp, { rows, columns }),
    reference: (o, { values }) => ref.muonTranspose(o.out, values.inp, { rows, columns }),
  };
  return [...cases, momentumCase, ...(which === "" ? [transposeCase] : [])];
}

function polynomialCase(normal: Normal, n: number): KernelCase {
  return {
    kernel: "muon_polynomial",
    name: `n ${n}`,
    inputs: { square: normal(n * n) },
    outputs: { a: { size: n * n, allowed: NORM_BOUND, initial: normal(n * n) } },
    dispatch: ({ device }, t) => ops.muonPolynomial(device, t.a, t.square, n),
    reference: (o, { values }) => ref.muonPolynomial(o.a, values.square, n),
  };
}

const places = ["the first", "the second", "the third"];

function accumulateCase(normal: Normal, size: number, planes: number, micro: number): KernelCase {
  return {
    kernel: "accumulate",
    name: `size ${size}, planes ${planes}, ${places[micro]}`,
    inputs: { parts: normal(planes * size), step_data: stepInputs({}, 0, 0, micro).step_data },
    // What stands there before the first one is of the step before, and may be anything.
    outputs: { sums: { size, allowed: NORM_BOUND, initial: normal(size, micro > 0 ? 1 : 1e30) } },
    dispatch: ({ device }, t) =>
      ops.accumulate(device, t.sums, t.parts, t.step_data, { size, planes }),
    reference: (o, { values }) => ref.accumulate(o.sums, values.parts, { size, planes, micro }),
  };
}
