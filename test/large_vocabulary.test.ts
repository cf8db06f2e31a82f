// Logits in chunks of rows: the same losses, gradients, validations and predictions as from all rows at once.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { Meter } from "../src/device/meter.ts";
import { GpuDecoder } from "../src/generation/gpu_decoder.ts";
import { chunkRows } from "../src/model/classifier.ts";
import { stepBytes } from "../src/model/memory.ts";
import { type Dims, dimsOf, initialParameters } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { presetNotes, presets } from "../src/presets.ts";
import { writingSizes } from "../src/model/text_plan.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { batchAt } from "../src/text/batches.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { needsOf } from "../src/training/needs.ts";
import { relativeError } from "../src/verify/compare.ts";
import { device } from "./harness/device.ts";
import { limited } from "./harness/limited.ts";

const V = 300;
/** Room for the logits of 128 rows, and of some more. */
const small = limited(device, { binding: 4 * V * 140 });

function setUp(overrides: Partial<Config>) {
  const settings = {
    n_layer: 1,
    block_size: 60,
    batch_size: 5,
    num_steps: 3,
    n_embd: 12,
    n_head: 2,
  };
  const config = resolveConfig("microgpt", { ...settings, ...overrides });
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(1));
  // Of many lengths, one as short as can be: whole chunks of positions that do not count.
  const sequences = Array.from({ length: 11 }, (_, i) =>
    Int32Array.from({ length: i === 3 ? 2 : 61 - 5 * i }, (_, t) => (i * i * 7 + t * t * 3) % V),
  );
  return { config, dims, params, sequences };
}

/** Losses and norms of the steps, the first one's gradients and what validation finds. */
async function train(on: Device, { config, dims, params, sequences }: ReturnType<typeof setUp>) {
  const trainer = await GpuTrainer.create(on, config, dims, params, sequences);
  const [{ shape }] = [trainer.tensors.logits];
  const before = await trainer.evaluate(sequences);
  for await (const _ of trainer.run(1));
  const { layout, values } = await trainer.gradients();
  const records = [];
  for await (const record of trainer.run(config.num_steps)) records.push(record);
  const after = await trainer.evaluate(sequences);
  trainer.destroy();
  const gradients = layout.slices.map(({ name, offset, size }) => ({
    name,
    values: values.slice(offset, offset + size),
  }));
  return { rows: shape[0], before, gradients, records, after };
}

const modern = {
  activation: "swiglu",
  position: "rope",
  norm_gain: true,
  final_norm: true,
  embedding_norm: false,
  tie_embeddings: true,
  logit_softcap: 5,
} as const;

describe("a step in chunks is the step in one piece", () => {
  test.each<[string, Partial<Config>]>([
    ["microgpt's shape", {}],
    [
      "tied, with a cap, in micro-batches, with dropout",
      { ...modern, dropout: 0.2, grad_accumulation: 2 },
    ],
  ])("%s", async (_, overrides) => {
    const model = setUp(overrides);
    const { config, dims, params, sequences } = model;
    const whole = await train(device, model);
    const chunked = await train(small, model);
    expect([whole.rows, chunked.rows]).toEqual([300, 128]);
    // Rows are alone with their logits, so that only the weight's gradient is added up in another order.
    expect(chunked.before).toBe(whole.before);
    const head = config.tie_embeddings ? "wte" : "lm_head";
    const others = ({ gradients }: typeof whole) => gradients.filter(({ name }) => name !== head);
    expect(others(chunked)).toEqual(others(whole));
    const [sums, expected] = [chunked, whole].map(({ gradients }) =>
      Float64Array.from(gradients.find(({ name }) => name === head)!.values),
    );
    expect(relativeError(sums, expected)).toBeLessThan(1e-6);
    chunked.records.forEach(({ loss, grad_norm }, i) => {
      expect(Math.abs(loss / whole.records[i].loss - 1)).toBeLessThan(1e-6);
      expect(Math.abs(grad_norm / whole.records[i].grad_norm - 1)).toBeLessThan(1e-5);
    });
    expect(Math.abs(chunked.after / whole.after - 1)).toBeLessThan(1e-6);

    if (config.dropout > 0) return; // the reference has its own tests for that
    const reference = new ReferenceGpt(config, dims, params);
    const batch = batchAt(sequences, 0, config.batch_size);
    reference.forward(batch);
    reference.loss(batch);
    reference.backward(batch);
    chunked.gradients.forEach(({ name, values }, i) => {
      const { offset, size } = reference.layout.slices[i];
      const error = relativeError(values, reference.grads.subarray(offset, offset + size));
      expect({ name, error }).toSatisfy(() => error < 1e-5);
    });
  });

  test.skipIf(!device.features.includes("shader-f16"))("in f16", async () => {
    const model = setUp({ final_norm: true, dtype: "f16", num_steps: 2 });
    const [whole, chunked] = [await train(device, model), await train(small, model)];
    expect(chunked.before).toBe(whole.before);
    chunked.records.forEach(({ loss }, i) => {
      expect(Math.abs(loss / whole.records[i].loss - 1)).toBeLessThan(1e-5);
    });
  });
});

test("the weight's gradient of the step before is not added to", async () => {
  const { config, dims, params, sequences } = setUp({ learning_rate: 0, num_steps: 1 });
  const same = sequences.slice(0, config.batch_size);
  const trainer = await GpuTrainer.create(small, { ...config, num_steps: 3 }, dims, params, same);
  const norms: number[] = [];
  for await (const { grad_norm } of trainer.run(3)) norms.push(grad_norm);
  trainer.destroy();
  expect(new Set(norms).size).toBe(1);
});

test("predictions are the same at every position, and take the bytes foretold", async () => {
  const { config, dims, params } = setUp({ block_size: 300, logit_softcap: 5 });
  const tokens = Array.from({ length: 300 }, (_, i) => (i * i) % V);
  const logits = async (on: Device) => {
    const meter = new Meter(on);
    const decoder = await GpuDecoder.fromValues(on, config, dims, params, writingSizes(config));
    const found: Float32Array[] = [];
    for await (const row of decoder.score(tokens)) found.push(row);
    decoder.destroy();
    meter.stop();
    const { device_bytes } = needsOf(config, dims, undefined, on).generation;
    expect(meter.peak_bytes).toBe(device_bytes + 4 * V * 16); // with what is read back
    return found;
  };
  expect(await logits(small)).toEqual(await logits(device));
});

test("training and validation in chunks take the bytes foretold", async () => {
  const { config, dims, params, sequences } = setUp({ val_fraction: 0.1, grad_accumulation: 2 });
  const meter = new Meter(small);
  const trainer = await GpuTrainer.create(small, config, dims, params, sequences);
  for await (const _ of trainer.run(2));
  await trainer.evaluate(sequences);
  trainer.destroy();
  meter.stop();
  expect(meter.peak_bytes).toBe(needsOf(config, dims, sequences, small).training.device_bytes);
});

const large = { ...presets["size-small"], block_size: 1024, batch_size: 8 };

test.each([50_257, 151_936])("logits of %i tokens take no more than 128 MiB", (vocab_size) => {
  const dims = dimsOf(large, vocab_size);
  const { table } = planStep(device, large, dims);
  const [rows, V] = table.find(({ name }) => name === "logits")!.shape;
  expect(V).toBe(vocab_size);
  expect(rows * V * 4).toBeLessThanOrEqual(2 ** 27);
  expect(rows * V * 4).toBeGreaterThan(2 ** 25);
  expect(rows % 128).toBe(0);
  // A GPU in hardware may take some more, for gradients in parts; and none of it is as much as all logits.
  const here = needsOf(large, dims, undefined, device).training.device_bytes;
  const anywhere = needsOf(large, dims).training.device_bytes;
  expect(here).toBeLessThanOrEqual(anywhere);
  expect(anywhere).toBeLessThan(4 * 8 * 1024 * vocab_size);
  expect(here).toBeLessThan(stepBytes(large, dims));
  expect(stepBytes(large, dims)).toBeLessThan(4 * 8 * 1024 * vocab_size);
});

test("a chunk is as large as its weight where that is more, and in shares that are alike", () => {
  const rows = (V: number, C: number, N: number) => chunkRows({ V, C } as Dims, N);
  expect(rows(50_257, 768, 8192)).toBe(768); // 8192 / 11, up to a multiple of 128
  expect(rows(151_936, 1024, 8192)).toBe(1024);
  expect(rows(151_936, 64, 300)).toBe(128);
  expect(rows(65, 384, 64 * 256)).toBe(64 * 256);
  expect(rows(27, 16, 2 ** 40)).toBeGreaterThanOrEqual(2 ** 30);
});

test("every preset on a text's characters has all its logits at once", () => {
  for (const [name, config] of Object.entries(presets)) {
    const { vocab_size } = presetNotes[name as keyof typeof presets];
    const dims = dimsOf(config, Math.min(vocab_size, 1000));
    const N = config.batch_size * dims.T;
    expect({ name, rows: chunkRows(dims, N) }).toEqual({ name, rows: N });
  }
});
