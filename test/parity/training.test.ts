// Whole training steps and runs on the GPU against golden traces of microgpt.py and against the reference,
// in Node and in the browser.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../../src/config.ts";
import { dimsOf, initialParameters } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { tokenizeDocuments } from "../../src/text/batches.ts";
import { splitDocuments } from "../../src/text/documents.ts";
import names from "../../src/text/names.txt?raw";
import { CharTokenizer } from "../../src/text/tokenizer.ts";
import { GpuTrainer } from "../../src/training/gpu_trainer.ts";
import { Training } from "../../src/training/train.ts";
import { checkGradients, checkTraining, modelConfigs } from "../../src/verify/certify.ts";
import { device } from "../harness/device.ts";
import deep from "../golden/microgpt-deep.json" with { type: "json" };
import golden from "../golden/microgpt-names.json" with { type: "json" };

const documents = splitDocuments(names, "names.txt");

function goldenConfig({ config }: typeof golden | typeof deep): Config {
  const { n_layer, n_embd, block_size, n_head, num_steps } = config;
  return resolveConfig("microgpt", { n_layer, n_embd, block_size, n_head, num_steps });
}

async function trainer(config: Config): Promise<GpuTrainer> {
  const random = new PythonRandom(config.seed);
  const shuffled = [...documents];
  random.shuffle(shuffled);
  const tokenizer = CharTokenizer.fromDocuments(shuffled);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const params = initialParameters(config, dims, random);
  const sequences = tokenizeDocuments(shuffled, tokenizer, config.block_size);
  return GpuTrainer.create(device, config, dims, params, sequences);
}

test.each([
  ["names", golden],
  ["deep", deep],
])("one step's gradients are microgpt.py's: %s", async (_, trace) => {
  const gpu = await trainer(goldenConfig(trace));
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
  const training = await Training.open({ config, documents, device: "webgpu" });
  const losses: number[] = [];
  for await (const event of training.steps()) losses.push(event.loss);
  const samples: string[] = [];
  for await (const { text } of training.samples()) samples.push(text);
  training.close();
  expect(losses).toHaveLength(trace.losses.length);
  const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - trace.losses[i])));
  expect(worst).toBeLessThan(1e-5);
  expect(samples).toEqual(trace.samples);
});

test.each(modelConfigs)("gradients are the reference's: $name", async ({ name, overrides }) => {
  const result = await checkGradients(device, name, overrides);
  expect(result.pass || result).toBe(true);
});

test.each(modelConfigs)("losses are the reference's: $name", async ({ name, overrides }) => {
  const result = await checkTraining(device, name, overrides);
  expect(result.pass || result).toBe(true);
});

test("the same run gives the same bits twice", async () => {
  const bits = async () => {
    const gpu = await trainer(resolveConfig("microgpt", { batch_size: 5, num_steps: 40 }));
    for await (const _step of gpu.run(40));
    const { values } = await gpu.parameters();
    gpu.destroy();
    return new Uint32Array(values.buffer);
  };
  expect(await bits()).toEqual(await bits());
});
