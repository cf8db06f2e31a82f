// What a benchmark trains: a model's sizes, random weights and windows of random tokens.

import { type Config, type ConfigChoice, type ReadConfig, resolveConfig } from "../config.ts";
import { settings } from "../config/settings.ts";
import { type PresetName, presetNotes, presets } from "../presets.ts";
import { type Dims, dimsOf, parameterCount } from "../model/parameters.ts";

export interface Workload {
  config: ReadConfig;
  dims: Dims;
}

type Sizes = Pick<Config, "n_layer" | "n_embd" | "n_head" | "block_size" | "batch_size"> & {
  vocab_size: number;
  dtype?: ConfigChoice["dtype"];
};

/** Presets of which only the sizes are measured, in microgpt's architecture, as they were from the beginning. */
const plain: ReadonlySet<PresetName> = new Set([
  "microgpt",
  "microgpt-cosine",
  "tiny",
  "small",
  "medium",
  "shakespeare",
  "gpt2",
]);

/** The sizes of a preset, at which other libraries are measured too; and of a newer one the rest of the model. */
export function benchmarkSizes(preset: PresetName): Sizes {
  const config: Config = presets[preset];
  const { n_layer, n_embd, n_head, block_size, batch_size } = config;
  const { vocab_size } = presetNotes[preset];
  const names = plain.has(preset) ? [] : settings.filter(({ group }) => group === "model");
  const rest = Object.fromEntries(names.map(({ name }) => [name, config[name]]));
  return { ...rest, n_layer, n_embd, n_head, block_size, batch_size, vocab_size };
}

/** @throws ConfigError if a size cannot be */
export function workload({ vocab_size, ...overrides }: Sizes): Workload {
  const config = resolveConfig("microgpt", {
    num_steps: 1_000_000, // more than any benchmark takes
    learning_rate: 0.001,
    lr_schedule: "constant",
    init_std: overrides.n_embd <= 64 ? 0.08 : 0.02,
    ...overrides,
  });
  return { config, dims: dimsOf(config, vocab_size) };
}

/** Numbers of 0 to 1, always the same ones; far faster than Python's generator. */
function generator(): () => number {
  let state = 42;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** Weights of the right spread, flat and without gaps. */
export function randomWeights({ config, dims }: Workload): Float64Array {
  const random = generator();
  const width = config.init_std * Math.sqrt(12); // of the uniform distribution with that deviation
  return new Float64Array(parameterCount(dims)).map(() => (random() - 0.5) * width);
}

const TEXT = 10_000;
/** Batches after which the tokens come again. */
const BATCHES = 32;

/** Windows of T + 1 tokens, so that every position counts, out of a text with some order in it. */
export function randomSequences({ config, dims }: Workload): Int32Array[] {
  const random = generator();
  const { T, V } = dims;
  const text = Int32Array.from(
    { length: TEXT + T + 1 },
    (_, i) => (i * i + 3 * i + Math.floor(i / 8)) % V,
  );
  return Array.from({ length: config.batch_size * BATCHES }, () => {
    const start = Math.floor(random() * TEXT);
    return text.subarray(start, start + T + 1);
  });
}
