// Products whose sums are made in several planes of the gradients: what else writes gradients leaves these right.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { batchAt } from "../src/text/batches.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { tune } from "../src/tuning/tune.ts";
import { relativeError } from "../src/verify/compare.ts";
import { device } from "./harness/device.ts";

const tied = { tie_embeddings: true, norm_gain: true, final_norm: true };
const models: Partial<Config>[] = [
  tied,
  { ...tied, position: "rope", qk_norm: true, activation: "swiglu", embedding_norm: false },
];

test.each(models)("gradients in two planes are the reference's: %j", async (overrides) => {
  const settings = { n_embd: 8, n_head: 2, batch_size: 16, block_size: 16, mlp_hidden: 12 };
  const config = resolveConfig("microgpt", { ...settings, ...overrides });
  const dims = dimsOf(config, 11);
  const params = initialParameters(config, dims, new PythonRandom(1));
  const sequences = Array.from({ length: 16 }, (_, b) =>
    Int32Array.from({ length: 17 - b }, (_, t) => (b * b + 3 * t) % 11),
  );
  const tuning = await tune(device, config, dims, { mode: "off" });
  const trainer = await GpuTrainer.create(device, config, dims, params, sequences, {
    ...tuning,
    product: (_, variants) => variants.find(({ splits }) => splits === 2) ?? variants[0],
  });
  expect(trainer.tensors.grads.shape[0]).toBe(2);
  for await (const _ of trainer.run(1));
  const { layout, values } = await trainer.gradients();
  trainer.destroy();

  const reference = new ReferenceGpt(config, dims, params);
  const batch = batchAt(sequences, 0, 16);
  reference.forward(batch);
  reference.loss(batch);
  reference.backward(batch);
  layout.slices.forEach(({ name, offset, size }, i) => {
    const found = values.subarray(offset, offset + size);
    const first = reference.layout.slices[i].offset;
    const error = relativeError(found, reference.grads.subarray(first, first + size));
    expect({ name, error }).toSatisfy(() => error < 1e-5);
  });
});
