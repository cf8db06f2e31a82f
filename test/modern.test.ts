// Modern models in the float64 reference: the golden models of an independent oracle, and finite differences.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { IGNORED } from "../src/text/batches.ts";
import { CpuOptimizer } from "../src/training/cpu_optimizer.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { expectGradients } from "./harness/finite_differences.ts";
import { error, flatten, modern } from "./harness/modern.ts";

test.each(modern)("parameters have the oracle's names, order and shapes: $name", (model) => {
  const { trace, layout } = model;
  const shapes = Object.entries(trace.parameters).map(([name, { shape }]) => [name, shape]);
  expect(layout.slices.map(({ name, shape }) => [name, shape])).toEqual(shapes);
});

test.each(modern)("logits, loss and every gradient are the oracle's: $name", (model) => {
  const { config, dims, batch, layout, trace } = model;
  const gpt = new ReferenceGpt(config, dims, model.parameters());
  const first = gpt.forward(batch).slice(0, trace.logits_first_row.length);
  expect(error(first, trace.logits_first_row)).toBeLessThan(1e-12);
  expect(Math.abs(gpt.loss(batch) / trace.loss - 1)).toBeLessThan(1e-12);
  gpt.backward(batch);
  const gradients = trace.gradients as unknown as Record<string, number[]>;
  for (const { name, offset, size } of layout.slices) {
    const found = gpt.grads.subarray(offset, offset + size);
    expect({ name, error: error(found, gradients[name]) }).toSatisfy(({ error }) => error < 1e-12);
  }
});

test.each(modern)(
  "losses of 8 steps, and the parameters after them, are the oracle's: $name",
  (model) => {
    const { config, dims, batch, layout, trace } = model;
    const gpt = new ReferenceGpt(config, dims, model.parameters());
    const optimizer = new CpuOptimizer(config, layout);
    const losses = trace.losses.map((_, step) => {
      gpt.forward(batch);
      const loss = gpt.loss(batch);
      gpt.backward(batch);
      for (const _part of optimizer.update(gpt.params, gpt.grads, step, 1));
      return loss;
    });
    expect(error(losses, trace.losses)).toBeLessThan(1e-12);
    expect(error(gpt.params, flatten(layout, trace.final))).toBeLessThan(1e-12);
  },
);

/** Around which every option is tried: nothing is a multiple of anything. */
const odd: Partial<Config> = { n_layer: 2, n_embd: 6, n_head: 2, block_size: 5, init_std: 0.5 };
const llama: Partial<Config> = {
  ...odd,
  activation: "swiglu",
  mlp_hidden: 7,
  position: "rope",
  head_dim: 4,
  norm_gain: true,
  final_norm: true,
  embedding_norm: false,
};

const options: [string, Partial<Config>][] = [
  ["gelu", { ...odd, activation: "gelu" }],
  ["swiglu", { ...odd, activation: "swiglu", mlp_hidden: 5 }],
  ["swiglu with its own width", { ...odd, n_layer: 1, activation: "swiglu" }],
  ["mlp_hidden", { ...odd, mlp_hidden: 7 }],
  ["rope", { ...odd, position: "rope", head_dim: 2, rope_theta: 10 }],
  ["one head of k and v", { ...odd, n_head: 3, n_kv_head: 1 }],
  ["two heads of k and v for four", { ...odd, n_embd: 8, n_head: 4, n_kv_head: 2 }],
  ["head_dim", { ...odd, head_dim: 5 }],
  ["norm_gain", { ...odd, norm_gain: true }],
  ["final_norm", { ...odd, final_norm: true }],
  ["norm_gain and final_norm", { ...odd, norm_gain: true, final_norm: true }],
  ["no embedding_norm", { ...odd, embedding_norm: false }],
  ["qk_norm", { ...odd, qk_norm: true }],
  ["qk_norm with gains", { ...odd, qk_norm: true, norm_gain: true }],
  ["tie_embeddings", { ...odd, tie_embeddings: true }],
  [
    "tie_embeddings without embedding_norm",
    { ...odd, tie_embeddings: true, embedding_norm: false },
  ],
  ["logit_softcap", { ...odd, logit_softcap: 1.5 }],
  ["dropout", { ...odd, dropout: 0.4 }],
  ["dropout without embedding_norm", { ...odd, dropout: 0.4, embedding_norm: false }],
  ["llama", llama],
  ["qwen3", { ...llama, qk_norm: true, n_head: 4, n_kv_head: 2, tie_embeddings: true }],
  [
    "nanochat with dropout",
    {
      ...odd,
      n_embd: 8,
      activation: "relu_squared",
      position: "rope",
      qk_norm: true,
      final_norm: true,
      logit_softcap: 3,
      dropout: 0.3,
    },
  ],
  ["all at once", { ...llama, qk_norm: true, logit_softcap: 2, dropout: 0.2, activation: "gelu" }],
];

test.each(options)("gradients agree with finite differences: %s", (_, overrides) => {
  const config = resolveConfig("microgpt", overrides);
  const dims = dimsOf(config, 7);
  const random = new PythonRandom(3);
  const params = initialParameters(config, dims, random).map((x) => x + random.gauss(0, 0.1));
  const gpt = new ReferenceGpt(config, dims, params);
  const batch = {
    B: 2,
    T: 4,
    inputs: Int32Array.from([6, 1, 2, 3, 6, 5, 5, 0]),
    targets: Int32Array.from([1, 2, 3, 6, 5, 5, 6, IGNORED]),
    num_targets: 7,
  };
  const grads = expectGradients(gpt, batch, { step: 3 });
  for (const { name, offset, size } of gpt.layout.slices) {
    const most = Math.max(...grads.subarray(offset, offset + size).map(Math.abs));
    expect({ name, most }).toSatisfy(({ most }) => most > 1e-4); // each has a part in the loss
  }
});

test("no decay pulls a gain down", async () => {
  const config = resolveConfig("microgpt", {
    ...llama,
    weight_decay: 10,
    learning_rate: 0.05,
    lr_schedule: "constant",
    beta1: 0,
    beta2: 0,
    num_steps: 1,
  });
  const dims = dimsOf(config, 7);
  const params = initialParameters(config, dims, new PythonRandom(1));
  const before = params.slice();
  const trainer = new CpuTrainer(config, dims, params, [Int32Array.of(0, 1, 2, 3, 0)]);
  for await (const _ of trainer.run(1));
  const { layout } = await trainer.parameters();
  for (const { shape, offset, size } of layout.slices) {
    for (let i = offset; i < offset + size; i++) {
      // Of Adam without memory each step is as long as the rate; decay takes half of a number beside it.
      const decayed = shape.length === 2 ? before[i] * 0.5 : before[i];
      expect(Math.abs(params[i] - decayed)).toBeLessThanOrEqual(0.05 + 1e-9);
    }
  }
});
