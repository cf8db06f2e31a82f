// The cases of texts that one workgroup writes: odd shapes, both places for the parameters, texts that end, of which there
// is none, that are given as a whole.

import type { Tensor } from "../device/tensors.ts";
import { type Config, resolveConfig } from "../config.ts";
import { reluOf } from "../choices.ts";
import { dimsOf } from "../model/parameters.ts";
import { packTexts, SQUARED } from "../small/data.ts";
import { SmallLayout } from "../small/layout.ts";
import { type SampleBinding, smallSample } from "../small/ops.ts";
import * as ref from "../small/reference.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

const BOUND = 1e-5;

/** Workgroup memory of all cases: kernels are slow to compile, and one serves all of them. */
const MEMORY = { ACT: 200, CACHE: 600 };
const PARAMETERS = 1700;

interface SampleCase {
  name: string;
  config: Partial<Config>;
  V: number;
  shared?: boolean;
}

const cases: SampleCase[] = [
  { name: "T 1, C 1, NH 1, V 2", config: { block_size: 1, n_embd: 1, n_head: 1 }, V: 2 },
  { name: "L 1, C 8, NH 2, T 16, V 27", config: { n_embd: 8, n_head: 2 }, V: 27 },
  {
    name: "L 2, C 6, NH 3, T 7, V 33, relu_squared",
    config: { n_layer: 2, n_embd: 6, n_head: 3, block_size: 7, activation: "relu_squared" },
    V: 33,
  },
  {
    name: "parameters in storage, L 2, C 9, NH 1, T 5, V 65",
    config: { n_layer: 2, n_embd: 9, n_head: 1, block_size: 5 },
    V: 65,
    shared: false,
  },
];

export function sampleCases(
  normal: Normal,
  ids: (size: number, V: number) => Int32Array,
): KernelCase[] {
  return cases.flatMap((test) =>
    (test.shared === false ? [8] : [8, 16]).map((X) => sampleCase(test, X, normal, ids)),
  );
}

function sampleCase(
  { name, config: overrides, V, shared = true }: SampleCase,
  X: number,
  normal: Normal,
  ids: (size: number, V: number) => Int32Array,
): KernelCase {
  const config = resolveConfig("microgpt", overrides);
  const dims = dimsOf(config, V);
  const { T } = dims;
  const layout = new SmallLayout(dims);
  const half = Math.ceil(T / 2);
  const texts = [
    { given: 1, first: 0, end: T, temperature: 1 },
    { given: half, first: half - 1, end: T, temperature: 0.5 },
    { given: 0, first: 0, end: 0, temperature: 1 },
    { given: T, first: 0, end: T, temperature: 0 },
    { given: 1, first: 0, end: half, temperature: 0 },
    { given: 1, first: 0, end: T, temperature: 100 },
  ];
  const slots = texts.length;
  const size = { tokens: slots * (T + 1), logits: slots * T * V };
  const choices = normal(slots * V * 2, 0.5);
  // The last text may end at any of its tokens but the first two; of all others nothing ends.
  for (let i = 0; i < slots * V; i++) {
    choices[2 * i + 1] = Number(i >= (slots - 1) * V + 2 && i % 2 === 0);
  }
  const params = layout.pack(normal(layout.flat.size, 0.3), new Float32Array(layout.size));
  const numbers = normal(slots * T).map((x) => Math.abs(x) % 1);
  // As if by rounding, a number above all sums: it takes the last token that may come, which is not the last one.
  numbers[T - 1] = 1;
  choices[2 * (V - 1)] = -1000;
  return {
    kernel: "small_sample",
    name: `${name}, ${X} threads`,
    inputs: {
      params,
      texts: packTexts(texts),
      numbers,
      choices,
    },
    outputs: {
      tokens: {
        size: size.tokens,
        initial: Float32Array.from(ids(size.tokens, V)),
        allowed: BOUND,
      },
      logits: { size: size.logits, initial: normal(size.logits), allowed: BOUND },
    },
    dispatch: (_, tensors) => {
      const squared = SQUARED[reluOf(config)];
      const sizes = { texts: slots, squared, eps: config.rmsnorm_eps };
      const tuning = { X, Y: 1, Z: 1, shared, room: V, fixed: false };
      const all = tensors as Record<SampleBinding, Tensor>;
      const dispatch = smallSample(all, dims, sizes, tuning);
      const W = shared ? PARAMETERS : 1;
      return { ...dispatch, constants: { ...dispatch.constants, ...MEMORY, W } };
    },
    reference: ({ tokens, logits }, { values }) => {
      const { params, texts, numbers, choices } = values;
      ref.smallSample(tokens, logits, { params, texts, numbers, choices }, config, dims);
    },
  };
}
