// A layer's linear layer in float64: a product; beside a frozen weight no gradient of it, and where the layer has adapters
// what they add. What takes long yields between its parts.

import { adaptersOf, type LinearAdapters, type LinearName } from "../model/adapters.ts";
import type { Dims, ParameterLayout } from "../model/parameters.ts";
import { adapterGather, adapterSpread, matmulResidualBackwardInput } from "./adapters.ts";
import * as ops from "./ops.ts";
import { inParts } from "./parts.ts";
import type { Values } from "./values.ts";

interface Sizes {
  N: number;
  C: number;
  OC: number;
}

/** What is made on the way, in all layers one after the other; it grows with the rows. */
export type Scratch = Record<"b" | "db" | "added" | "da" | "dadded", Float64Array>;

export function newScratch(): Scratch {
  const none = new Float64Array(0);
  return { b: none, db: none, added: none, da: none, dadded: none };
}

/** A weight with its adapters, and what becomes of their gradients. */
interface Adapted extends LinearAdapters {
  scale: number;
  A: Values;
  B: Values;
  dA: Values;
  dB: Values;
  /** inp · Aᵀ (N, S·R), kept from the forward to the backward pass. */
  a: Float64Array;
  scratch: Scratch;
}

export interface Linear {
  weight: Values;
  /** Undefined where the weight is frozen. */
  dweight: Values | undefined;
  adapters: Adapted | undefined;
}

/** Of flat arrays of weights, and of those of the adapters and their gradients, each with its layout. */
export function linearOf(
  dims: Dims,
  l: number,
  linear: LinearName,
  weights: { layout: ParameterLayout; params: Float64Array },
  trained: { layout: ParameterLayout; params: Float64Array; grads: Float64Array; scale: number },
  scratch: Scratch,
): Linear {
  const view = ({ layout }: { layout: ParameterLayout }, flat: Float64Array, name: string) => {
    const { offset, size } = layout.slice(name);
    return flat.subarray(offset, offset + size);
  };
  const name = `layer${l}.${linear}`;
  const weight = view(weights, weights.params, name);
  if (!dims.adapters) {
    return { weight, dweight: view(trained, trained.grads, name), adapters: undefined };
  }
  const found = adaptersOf(dims, linear);
  if (!found) return { weight, dweight: undefined, adapters: undefined };
  const { params, grads, scale } = trained;
  const [A, B] = ["A", "B"].map((matrix) => `${name}.lora_${matrix}`);
  const adapters = {
    ...found,
    scale,
    A: view(trained, params, A),
    B: view(trained, params, B),
    dA: view(trained, grads, A),
    dB: view(trained, grads, B),
    a: new Float64Array(0),
    scratch,
  };
  return { weight, dweight: undefined, adapters };
}

/** out (N, OC) = inp (N, C) · weightᵀ, and x and what adapters add. */
export function* linearForward(
  { weight, adapters }: Linear,
  out: Values,
  inp: Values,
  { N, C, OC }: Sizes,
  x?: Values,
): Generator<void, void> {
  const product = (to: Values, from: Values, by: Values, of: Sizes, plus?: Values) =>
    inParts(2 * of.N * of.C * of.OC, (part) =>
      plus
        ? ops.matmulResidualForward(to, plus, from, by, of, part)
        : ops.matmulForward(to, from, by, of, part),
    );
  if (!adapters) {
    yield* product(out, inp, weight, { N, C, OC }, x);
    return;
  }
  const { A, B, SR, scratch } = adapters;
  const narrow = OC * SR;
  reserve(scratch, { b: narrow, db: narrow, added: N * OC, da: N * SR, dadded: N * C });
  if (adapters.a.length < N * SR) adapters.a = new Float64Array(N * SR);
  const { a } = adapters;
  yield* product(a, inp, A, { N, C, OC: SR });
  adapterSpread(scratch.b, B, { ...adapters, OC });
  yield* product(scratch.added, a, scratch.b, { N, C: SR, OC }, x);
  yield* product(out, inp, weight, { N, C, OC }, scratch.added);
}

/** dinp (N, C) = dout (N, OC) · weight, and the gradients of the weight or of its adapters. */
export function* linearBackward(
  { weight, dweight, adapters }: Linear,
  dinp: Values,
  dout: Values,
  inp: Values,
  { N, C, OC }: Sizes,
): Generator<void, void> {
  const sizes = { N, C, OC };
  const flops = 2 * N * C * OC;
  if (dweight) {
    yield* inParts(2 * flops, (part) =>
      ops.matmulBackward(dinp, dweight, dout, inp, weight, sizes, part),
    );
    return;
  }
  if (!adapters) {
    yield* inParts(flops, (part) => ops.matmulBackwardInput(dinp, dout, weight, sizes, part));
    return;
  }
  const { A, B, dA, dB, SR, a, scratch } = adapters;
  const { b, db, da, dadded } = scratch;
  adapterSpread(b, B, { ...adapters, OC });
  yield* inParts(4 * N * SR * OC, (part) =>
    ops.matmulBackward(da, db, dout, a, b, { N, C: SR, OC }, part),
  );
  adapterGather(dB, db, adapters);
  yield* inParts(4 * N * SR * C, (part) =>
    ops.matmulBackward(dadded, dA, da, inp, A, { N, C, OC: SR }, part),
  );
  yield* inParts(flops, (part) =>
    matmulResidualBackwardInput(dinp, dadded, dout, weight, sizes, part),
  );
}

function reserve(scratch: Scratch, sizes: Record<keyof Scratch, number>): void {
  for (const [name, size] of Object.entries(sizes) as [keyof Scratch, number][]) {
    if (scratch[name].length < size) scratch[name] = new Float64Array(size);
  }
}
