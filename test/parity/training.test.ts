// Whole training steps and runs on the GPU against golden traces of microgpt.py and against the reference,
// in Node and in the browser.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../../src/config.ts";
import type { Continuation } from "../../src/generation/decoder.ts";
import { generate } from "../../src/generation/generate.ts";
import { dimsOf, initialParameters } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { tokenizeDocuments } from "../../src/text/batches.ts";

import names from "../../src/text/names.txt?raw";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { GpuTrainer } from "../../src/training/gpu_trainer.ts";
import { checkGradients, checkTraining, modelsFor } from "../../src/verify/certify.ts";
import { device } from "../harness/device.ts";
import deep from "../golden/microgpt-deep.json" with { type: "json" };
import golden from "../golden/microgpt-names.json" with { type: "json" };

const documents = names.trimEnd().split("\n");

function goldenConfig({ config }: typeof golden | typeof deep): Config {
  const { n_layer, n_embd, block_size, n_head, num_steps } = config;
  return resolveConfig("microgpt", { n_layer, n_embd, block_size, n_head, num_steps });
}

/** The general engine, whatever `train` would choose for so small a model. */
async function setUp(config: Config) {
  const random = new PythonRandom(config.seed);
  const shuffled = [...documents];
  random.shuffle(shuffled);
  const tokenizer = CharTokenizer.fromDocuments(shuffled);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const params = initialParameters(config, dims, random);
  const sequences = tokenizeDocuments(shuffled, tokenizer, config.block_size);
  const gpu = await GpuTrainer.create(device, config, dims, params, sequences);
  return { gpu, tokenizer, random };
}

test.each([
  ["names", golden],
  ["deep", deep],
])("one step's gradients are microgpt.py's: %s", async (_, trace) => {
  const { gpu } = await setUp(goldenConfig(trace));
  for await (const _step of gpu.run(1));
  const { layout, values } = await gpu.gradients();
  gpu.destroy();
  const flat: number[] = layout.slices.flatMap(({ offset, size }) => [
    ...values.subarray(offset, offset + size),
  ]);
  const worst = Math.max(...flat.map((g, i) => Math.abs(g - trace.grads_step1[i])));
  expect(worst).toBeLessThan(1e-6);
});

test.each([
  ["names", golden],
  ["deep", deep],
])("every loss and every sample is microgpt.py's: %s", async (_, trace) => {
  const config = goldenConfig(trace);
  const { gpu, tokenizer, random } = await setUp(config);
  const losses: number[] = [];
  for await (const { loss } of gpu.run(config.num_steps)) losses.push(loss);
  const samples: string[] = [];
  const decode = (continuation: Continuation) => gpu.decode(continuation);
  for await (const { text } of generate({ ...config, tokenizer, random, decode })) {
    samples.push(text);
  }
  gpu.destroy();
  expect(losses).toHaveLength(trace.losses.length);
  const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - trace.losses[i])));
  expect(worst).toBeLessThan(1e-5); // why that, and what would leave it: test/float32.test.ts
  expect(samples).toEqual(trace.samples);
});

test.each(modelsFor(device))(
  "gradients are the reference's: $name",
  async ({ name, overrides }) => {
    const result = await checkGradients(device, name, overrides);
    expect(result.pass || result).toBe(true);
  },
);

test.each(modelsFor(device))("losses are the reference's: $name", async ({ name, overrides }) => {
  const result = await checkTraining(device, name, overrides);
  expect(result.pass || result).toBe(true);
});

test("the same run gives the same bits twice", async () => {
  const bits = async () => {
    const { gpu } = await setUp(resolveConfig("microgpt", { batch_size: 5, num_steps: 40 }));
    for await (const _step of gpu.run(40));
    const { values } = await gpu.parameters();
    gpu.destroy();
    return new Uint32Array(values.buffer);
  };
  expect(await bits()).toEqual(await bits());
});
