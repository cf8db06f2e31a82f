// Adapters beside frozen weights: their gradients are those of the weights that both make together, the GPU trains them as
// the float64 reference does, in the bytes foretold, and nothing else of the model changes.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { Meter } from "../src/device/meter.ts";
import {
  adaptersOf,
  drawAdapters,
  frozenDims,
  linearNames,
  mergedConfig,
  scaleOf,
  targetWeights,
} from "../src/model/adapters.ts";
import { mergeAdapters } from "../src/model/merge.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { needsOf } from "../src/training/needs.ts";
import type { Trainer } from "../src/training/trainer.ts";
import { batchesOf } from "../src/text/batches.ts";
import { device } from "./harness/device.ts";
import { expectGradients } from "./harness/finite_differences.ts";
import { limited } from "./harness/limited.ts";
import { qwen } from "./harness/shapes.ts";

const V = 27;
const sequences = Array.from({ length: 11 }, (_, i) =>
  Int32Array.from({ length: 2 + ((i * 5) % 13) }, (_, t) => (i * i + 3 * t) % V),
);

function setUp(overrides: Partial<Config>) {
  const settings = { lora_rank: 3, n_layer: 2, batch_size: 4, num_steps: 4, init_std: 0.2 };
  const config = resolveConfig("microgpt", { ...settings, ...overrides });
  const dims = dimsOf(config, V);
  const random = new PythonRandom(1);
  const frozen = initialParameters(config, frozenDims(dims), random);
  const layout = new ParameterLayout(dims);
  const params = drawAdapters(layout.slices, random);
  return { config, dims, frozen, layout, params };
}

const shapes: Partial<Config>[] = [
  { lora_targets: "all" },
  { ...qwen, lora_targets: "all" },
  { ...qwen, lora_targets: "q,v", lora_rank: 4, lora_alpha: 3 },
  { ...qwen, lora_targets: "gate,down" },
  { activation: "relu_squared", lora_targets: "k,o,up", lora_rank: 8 },
  { activation: "gelu", lora_targets: "mlp", dropout: 0.3 },
];

test.each(shapes)("gradients are those of the merged weights: %j", (overrides) => {
  const { config, dims, frozen, layout, params } = setUp({ ...overrides, n_embd: 8, dropout: 0 });
  const random = new PythonRandom(2);
  for (let i = 0; i < params.length; i++) params[i] += random.gauss(0, 0.2);
  const gpt = new ReferenceGpt(config, dims, params, frozen);
  const plain = frozenDims(dims);
  const values = mergeAdapters(config, dims, frozen, { layout, values: params });
  const whole = new ReferenceGpt(mergedConfig(config), plain, values);
  const [batch] = batchesOf(sequences, 4);
  const losses = [gpt, whole].map((model) => {
    const logits = model.forward(batch).slice();
    const loss = model.loss(batch);
    model.backward(batch);
    return { logits, loss };
  });
  expect(losses[0].loss).toBeCloseTo(losses[1].loss, 12);
  losses[0].logits.forEach((logit, i) => expect(logit).toBeCloseTo(losses[1].logits[i], 10));
  const scale = scaleOf(config);
  const view = (flat: Float64Array, { offset, size }: { offset: number; size: number }) =>
    flat.subarray(offset, offset + size);
  let checked = 0;
  for (let l = 0; l < dims.L; l++) {
    for (const { target } of linearNames.flatMap((name) => adaptersOf(dims, name)?.parts ?? [])) {
      const name = `layer${l}.${targetWeights[target]}`;
      const [a, b] = [layout.slice(`${name}.lora_A`), layout.slice(`${name}.lora_B`)];
      const [[R, IC], [OC]] = [a.shape as [number, number], b.shape];
      const dW = view(whole.grads, whole.layout.slice(name));
      const [A, B, dA, dB] = [
        view(params, a),
        view(params, b),
        view(gpt.grads, a),
        view(gpt.grads, b),
      ];
      for (let r = 0; r < R; r++) {
        for (let c = 0; c < IC; c++) {
          let sum = 0;
          for (let o = 0; o < OC; o++) sum += scale * B[o * R + r] * dW[o * IC + c];
          expect(dA[r * IC + c]).toBeCloseTo(sum, 12);
        }
        for (let o = 0; o < OC; o++) {
          let sum = 0;
          for (let c = 0; c < IC; c++) sum += scale * dW[o * IC + c] * A[r * IC + c];
          expect(dB[o * R + r]).toBeCloseTo(sum, 12);
        }
      }
      checked += a.size + b.size;
    }
  }
  expect(checked).toBe(params.length);
});

test("with dropout they are what the loss changes by", () => {
  const { config, dims, frozen, params } = setUp({
    ...qwen,
    n_embd: 8,
    n_layer: 1,
    dropout: 0.3,
    lora_rank: 1,
  });
  const random = new PythonRandom(3);
  for (let i = 0; i < params.length; i++) params[i] += random.gauss(0, 0.3);
  const [batch] = batchesOf(sequences, 3);
  const gpt = new ReferenceGpt(config, dims, params, frozen);
  const grads = expectGradients(gpt, batch, { step: 2 });
  expect(grads).toHaveLength(params.length);
});

test("at first nothing is added, and only Bs have gradients", () => {
  const { config, dims, frozen, layout, params } = setUp({ ...qwen });
  const gpt = new ReferenceGpt(config, dims, params, frozen);
  const plain = new ReferenceGpt(mergedConfig(config), frozenDims(dims), frozen);
  const [batch] = batchesOf(sequences, 4);
  expect(gpt.forward(batch)).toEqual(plain.forward(batch));
  gpt.loss(batch);
  gpt.backward(batch);
  for (const { name, offset, size, shape } of layout.slices) {
    const some = gpt.grads.subarray(offset, offset + size).some((gradient) => gradient !== 0);
    expect({ name, some }).toEqual({ name, some: name.endsWith("lora_B") });
    const bound = name.endsWith("lora_A") ? 1 / Math.sqrt(shape[1]!) : 0;
    const largest = Math.max(...params.subarray(offset, offset + size).map(Math.abs));
    expect(largest).toBeLessThanOrEqual(bound);
    expect(largest).toBeGreaterThanOrEqual(bound * 0.8);
  }
});

async function records(trainer: Trainer, steps: number) {
  const found = [];
  for await (const { loss, grad_norm } of trainer.run(steps)) found.push(loss, grad_norm);
  found.push(await trainer.evaluate(sequences));
  return found;
}

const half = device.features.includes("shader-f16");
const trained: [Partial<Config>, tolerance: number][] = [
  ...shapes.map((shape): [Partial<Config>, number] => [shape, 1e-5]),
  [{ ...qwen, grad_accumulation: 3, grad_clip: 0.5, weight_decay: 0.1 }, 1e-5],
  [{ ...qwen, optimizer: "sgd", learning_rate: 0.3 }, 1e-5],
  [{ ...qwen, optimizer: "muon", lora_rank: 4 }, 1e-3],
  ...(half
    ? [[{ ...qwen, dtype: "f16", lora_rank: 4, n_embd: 32 }, 2e-2] as [Partial<Config>, number]]
    : []),
];

test.each(trained)(
  "the GPU trains as the reference does, in the bytes foretold: %j",
  async (overrides, tolerance) => {
    const { config, dims, frozen, params } = setUp({ val_fraction: 0.1, ...overrides });
    const cpu = new CpuTrainer(
      { ...config, dtype: "f32" },
      dims,
      params.slice(),
      sequences,
      frozen,
    );
    const expected = await records(cpu, config.num_steps);
    const takes = async (recompute: boolean) => {
      const run = { ...config, recompute };
      const meter = new Meter(device);
      const trainer = await GpuTrainer.create(
        device,
        run,
        dims,
        params,
        sequences,
        null,
        {},
        frozen,
      );
      const found = await records(trainer, config.num_steps);
      const { peak_bytes } = meter;
      const { values } = await trainer.parameters();
      trainer.destroy();
      meter.stop();
      expect(peak_bytes).toBe(needsOf(run, dims, sequences, device).training.device_bytes);
      return { found, values };
    };
    const kept = await takes(false);
    kept.found.forEach((value, i) => {
      expect(Math.abs(value / expected[i] - 1)).toBeLessThan(tolerance);
    });
    const again = await takes(true);
    expect(again.found).toEqual(kept.found);
    expect(again.values).toEqual(kept.values);
  },
);

test("a vocabulary that no binding holds is trained with a piece at a time, and writes nowhere else than told", async () => {
  const large = 900;
  const config = resolveConfig("microgpt", {
    ...qwen,
    lora_rank: 4,
    n_embd: 64,
    num_steps: 3,
    batch_size: 3,
    block_size: 8,
  });
  const dims = dimsOf(config, large);
  const random = new PythonRandom(5);
  const frozen = initialParameters(config, frozenDims(dims), random);
  const params = drawAdapters(new ParameterLayout(dims).slices, random);
  const texts = sequences.map((text) => text.map((id, i) => (id * 97 + i * 31) % large));
  const train = async (on: typeof device) => {
    const trainer = await GpuTrainer.create(on, config, dims, params, texts, null, {}, frozen);
    const { table } = planStep(on, config, dims);
    const found = [];
    for await (const { loss, grad_norm } of trainer.run(3)) found.push(loss, grad_norm);
    found.push(await trainer.evaluate(texts));
    trainer.destroy();
    return { found, halves: table.some(({ name }) => name === "dlast") };
  };
  const small = limited(device, { binding: 96 * 2 ** 10, buffer: Infinity });
  const [whole, pieces] = [await train(device), await train(small)];
  expect([whole.halves, pieces.halves]).toEqual([false, true]);
  pieces.found.forEach((value, i) =>
    expect(Math.abs(value / whole.found[i] - 1)).toBeLessThan(1e-5),
  );
  const writes = GpuTrainer.create(
    small,
    config,
    dims,
    params,
    texts,
    null,
    { writes: true },
    frozen,
  );
  await expect(writes).rejects.toThrow("num_samples of 0");
});
