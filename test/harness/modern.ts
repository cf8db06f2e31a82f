// The golden models with modern options: configs, batches, and what an independent float64 oracle makes of them.

import { expect } from "vitest";
import { type Config, resolveConfig } from "../../src/config.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { presets } from "../../src/presets.ts";
import type { Batch } from "../../src/text/batches.ts";
import golden from "../golden/modern.json" with { type: "json" };

type Trace = (typeof golden)[number];

/** Each with its name, its settings, and its tensors flat in the layout's order. */
export const modern = golden.map((trace) => {
  const { momentum, muon_learning_rate, ...rest } = trace.config;
  const rates = { ...rest, sgd_momentum: momentum, muon_lr: muon_learning_rate };
  const known = Object.entries(rates).filter(([name]) => name in presets.microgpt);
  const config = resolveConfig("microgpt", {
    ...(Object.fromEntries(known) as Partial<Config>),
    lr_schedule: "constant",
    batch_size: trace.B,
  });
  const dims = dimsOf(config, trace.vocab_size);
  const layout = new ParameterLayout(dims);
  const { inputs, targets, B, T } = trace;
  const batch: Batch = {
    B,
    T,
    inputs: Int32Array.from(inputs),
    targets: Int32Array.from(targets),
    num_targets: targets.filter((target) => target >= 0).length,
  };
  const values = Object.values(trace.parameters).map(({ values }) => values);
  return {
    name: trace.name,
    trace: trace as Trace,
    config,
    dims,
    layout,
    batch,
    parameters: () => Float64Array.from(values.flat()),
  };
});

/** The oracle's tensors by name, flat in the layout's order. */
export function flatten(layout: ParameterLayout, tensors: object): Float64Array {
  const named = tensors as Record<string, number[]>;
  return Float64Array.from(layout.slices.flatMap(({ name }) => named[name]));
}

/** The largest difference, where 1 is the largest number expected. */
export function error(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  const numbers = Array.from(expected);
  const largest = Math.max(...numbers.map(Math.abs));
  return Math.max(...numbers.map((x, i) => Math.abs(found[i] - x))) / largest;
}
