// Decoding on the GPU: the tokens are the CPU's, and those of a text alone whatever else is decoded with it.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import type { Continuation, Decoder } from "../src/generation/decoder.ts";
import { GpuDecoder } from "../src/generation/gpu_decoder.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { relativeError } from "../src/verify/compare.ts";
import { device } from "./harness/device.ts";
import { qwen } from "./harness/shapes.ts";

const V = 45;

const shapes: [string, Partial<Config>][] = [
  ["microgpt's", {}],
  [
    "gelu, tied, gains, softcap",
    { ...gelu(), norm_gain: true, final_norm: true, logit_softcap: 3 },
  ],
  ["rope, grouped queries", { ...qwen, n_head: 4, n_embd: 16, head_dim: 6 }],
  [
    "heads of an odd size, no layer norm behind the embedding",
    { n_embd: 15, embedding_norm: false },
  ],
];

function gelu(): Partial<Config> {
  return { activation: "gelu", tie_embeddings: true };
}

function model(overrides: Partial<Config>) {
  const config = resolveConfig("microgpt", {
    n_layer: 2,
    n_embd: 12,
    n_head: 3,
    block_size: 24,
    init_std: 0.6,
    ...overrides,
  });
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(3));
  return { config, dims, params, cpu: () => new CpuDecoder(config, dims, params) };
}

async function onGpu(overrides: Partial<Config>, num_slots = 1) {
  const { config, dims, params, cpu } = model(overrides);
  const gpu = await GpuDecoder.fromValues(device, config, dims, params, { num_slots });
  return { gpu, cpu: cpu() };
}

const text = (length: number, from = 3) =>
  Array.from({ length }, (_, i) => (i * i + from) % (V - 1));

const continuation = (tokens: readonly number[], more: Partial<Continuation>): Continuation => ({
  tokens,
  temperature: 0.9,
  never: [7],
  seen: tokens,
  ends: [],
  max_tokens: 40,
  keeps_first: true,
  random: new PythonRandom(4),
  logits: false,
  ...more,
});

/** Tokens that come, and their logits. */
async function decoded(decoder: Decoder, of: Continuation) {
  const ids: number[] = [];
  const logits: number[][] = [];
  for await (const token of decoder.decode(of)) {
    ids.push(token.id);
    if (token.logits) logits.push(Array.from(token.logits));
  }
  return { ids, logits };
}

/** One of each, and of what is together. */
const drawings: Partial<Continuation>[] = [
  {},
  { temperature: 0 },
  { top_k: 5 },
  { top_p: 0.7 },
  { min_p: 0.1 },
  { repetition_penalty: 1.4 },
  { logit_bias: { 2: 3, 44: -100 } },
  { temperature: 1.2, top_k: 20, top_p: 0.9, min_p: 0.02, repetition_penalty: 1.1 },
  { keeps_first: false },
  { ends: [9, 11, 12, 13, 20, 30] },
];

describe.each(shapes)("%s", (_, overrides) => {
  test("the tokens are those of the CPU, within the context and far beyond it", async () => {
    const { gpu, cpu } = await onGpu(overrides);
    for (const [i, drawing] of drawings.entries()) {
      const of = () =>
        continuation(text(1 + ((i * 11) % 35)), { random: new PythonRandom(i), ...drawing });
      const expected = await decoded(cpu, of());
      const found = await decoded(gpu, of());
      expect({ i, ids: found.ids }).toEqual({ i, ids: expected.ids });
    }
    gpu.destroy();
  });

  test("the logits are those of the CPU", async () => {
    const { gpu, cpu } = await onGpu(overrides);
    for (const length of [1, 2, 20, 30]) {
      const of = () => continuation(text(length), { logits: true, max_tokens: 12 });
      const expected = await decoded(cpu, of());
      const found = await decoded(gpu, of());
      expect(found.ids).toEqual(expected.ids);
      const [a, b] = [found, expected].map(({ logits }) => Float64Array.from(logits.flat()));
      expect(relativeError(a, b)).toBeLessThan(1e-5);
    }
    gpu.destroy();
  });

  test("a text among others has the bits that it has alone", async () => {
    const { gpu } = await onGpu(overrides, 5);
    const all = drawings.map(
      (drawing, i) => () =>
        continuation(text(1 + ((i * 7) % 30), i), {
          max_tokens: 10 + i,
          logits: true,
          ...drawing,
          random: new PythonRandom(i),
        }),
    );
    const alone = [];
    for (const of of all) alone.push(await decoded(gpu, of()));
    expect(await Promise.all(all.map((of) => decoded(gpu, of())))).toEqual(alone);
    gpu.destroy();
  });
});
