// Models of any shape, texts drawn in any way, several at a time on the GPU: the tokens are those that the CPU gives one
// text after the other.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import type { Continuation, Decoder } from "../src/generation/decoder.ts";
import { GpuDecoder } from "../src/generation/gpu_decoder.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { device } from "./harness/device.ts";

const MODELS = 16;
const TEXTS = 7;

/** Choices by one stream of numbers, so that a failure comes again. */
class Choose {
  private readonly random: PythonRandom;

  constructor(seed: number) {
    this.random = new PythonRandom(seed);
  }

  from<T>(...values: readonly T[]): T {
    return values[Math.floor(this.random.random() * values.length)];
  }

  between(low: number, high: number): number {
    return low + Math.floor(this.random.random() * (high - low + 1));
  }
}

function shapeOf(choose: Choose): Partial<Config> {
  const n_kv_head = choose.between(1, 3);
  const n_head = n_kv_head * choose.between(1, 3);
  const position = choose.from("learned", "rope", "rope");
  const head_dim = position === "rope" ? 2 * choose.between(1, 5) : choose.between(1, 9);
  return {
    n_layer: choose.between(1, 3),
    n_head,
    n_kv_head,
    head_dim,
    n_embd: choose.from(n_head, 9, 12, 16) * n_head,
    mlp_hidden: choose.from(0, 10, 17),
    block_size: choose.from(1, 2, 3, 8, 13, 20),
    activation: choose.from("relu", "relu_squared", "gelu", "swiglu"),
    position,
    rope_theta: 100,
    qk_norm: choose.from(true, false),
    norm_gain: choose.from(true, false),
    embedding_norm: choose.from(true, false),
    final_norm: choose.from(true, false),
    tie_embeddings: choose.from(true, false),
    logit_softcap: choose.from(0, 300), // far beyond the logits: where it flattens them, float32 has ties that float64 has not
    init_std: choose.from(0.3, 0.7),
  };
}

function textOf(choose: Choose, V: number, T: number, seed: number): () => Continuation {
  const ids = (count: number) => Array.from({ length: count }, () => choose.between(0, V - 1));
  const tokens = ids(choose.between(1, 2 * T + 1));
  const drawing = {
    temperature: choose.from(0, 0.5, 1, 1.7),
    top_k: choose.from(0, 0, 1, 3, 100),
    top_p: choose.from(1, 1, 0.5, 0.95),
    min_p: choose.from(0, 0, 0.1),
    repetition_penalty: choose.from(1, 1, 1.3, 0.8),
    logit_bias: choose.from({}, Object.fromEntries(ids(2).map((id) => [id, 1.5]))),
    never: choose.from([], V > 2 ? [choose.between(0, V - 1)] : []),
    seen: choose.from([], tokens),
    ends: choose.from([], ids(1)),
    max_tokens: choose.between(1, 3 * T + 2),
    keeps_first: choose.from(true, false),
    logits: choose.from(true, false),
  };
  return () => ({ ...drawing, tokens, random: new PythonRandom(seed) });
}

async function idsOf(decoder: Decoder, text: Continuation): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of decoder.decode(text)) ids.push(id);
  return ids;
}

/** The ids of texts on the GPU, all at once, and on the CPU, one after the other. */
async function written(
  shape: Partial<Config>,
  { V, seed, num_slots, choose }: { V: number; seed: number; num_slots: number; choose: Choose },
) {
  const config = resolveConfig("microgpt", shape);
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(seed));
  const texts = Array.from({ length: TEXTS }, (_, i) => textOf(choose, V, dims.T, i));
  const decoder = await GpuDecoder.fromValues(device, config, dims, params, { num_slots });
  const gpu = await Promise.all(texts.map((text) => idsOf(decoder, text())));
  decoder.destroy();
  const reference = new CpuDecoder(config, dims, params);
  const cpu: number[][] = [];
  for (const text of texts) cpu.push(await idsOf(reference, text()));
  return { gpu, cpu };
}

test.each(Array.from({ length: MODELS }, (_, seed) => ({ seed })))(
  "whatever model and texts seed $seed makes",
  async ({ seed }) => {
    const choose = new Choose(seed);
    const V = choose.from(2, 11, 27, 40);
    const shape = shapeOf(choose);
    const { gpu, cpu } = await written(shape, { V, seed, num_slots: choose.between(1, 5), choose });
    expect(gpu).toEqual(cpu);
  },
);

test("a model whose tensors are smaller than what a binding takes", async () => {
  const shape = { n_embd: 3, n_head: 3, head_dim: 1, mlp_hidden: 1, block_size: 1 };
  const options = { V: 2, seed: 1, num_slots: 1, choose: new Choose(1) };
  const { gpu, cpu } = await written(shape, options);
  expect(gpu).toEqual(cpu);
});
