// A step in micro-batches is the step of one batch as large as they are together; and what every optimizer has to do.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { writeTensor } from "../src/device/tensors.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { trainingWork } from "../src/model/work.ts";
import { PythonRandom } from "../src/random.ts";
import { sgd } from "../src/reference/optimizers.ts";
import type { Examples } from "../src/text/batches.ts";
import { TokenStream } from "../src/text/stream.ts";
import { chooseSmall } from "../src/training/choose_trainer.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { device } from "./harness/device.ts";

const V = 9;
/** Of 2 to 8 tokens: in a batch of several most rows have positions that count nothing. */
const lines = Array.from({ length: 21 }, (_, i) =>
  Int32Array.from({ length: 2 + ((i * 5) % 7) }, (_, t) => (i * i + 3 * t) % V),
);

function setUp(overrides: Partial<Config>) {
  const settings = { n_layer: 2, block_size: 7, num_steps: 6, warmup_steps: 2 };
  const config = resolveConfig("microgpt", { ...settings, ...overrides });
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(1));
  const stream = new TokenStream(
    Int32Array.from({ length: 60 }, (_, i) => (i * i) % V),
    config,
  );
  const examples: Examples = config.format === "text" ? stream : lines;
  return { config, dims, params, examples };
}

/** Losses and norms of every step, then all parameters; and the positions that were trained on. */
async function train(overrides: Partial<Config>, on: "cpu" | "webgpu") {
  const { config, dims, params, examples } = setUp(overrides);
  const trainer =
    on === "cpu"
      ? new CpuTrainer(config, dims, params, examples)
      : await GpuTrainer.create(device, config, dims, params, examples);
  const numbers: number[] = [];
  let tokens = 0;
  for await (const step of trainer.run(config.num_steps)) {
    numbers.push(step.loss, step.grad_norm);
    tokens = step.tokens;
  }
  const { values } = await trainer.parameters();
  trainer.destroy();
  const flat = on === "cpu" ? [...values] : [];
  return { numbers: [...numbers, ...flat], tokens };
}

const difference = (a: number[], b: number[]) => {
  expect(a).toHaveLength(b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - b[i])));
};

describe("4 micro-batches of 2 are a batch of 8, up to rounding", () => {
  test.each<[string, Partial<Config>]>([
    ["documents of many lengths", {}],
    ["documents, clipped and decayed", { grad_clip: 0.5, weight_decay: 0.1 }],
    ["a stream", { format: "text" }],
    ["muon", { optimizer: "muon" }],
    ["sgd", { optimizer: "sgd" }],
  ])("%s", async (_, overrides) => {
    const whole = await train({ ...overrides, batch_size: 8 }, "cpu");
    const parts = await train({ ...overrides, batch_size: 2, grad_accumulation: 4 }, "cpu");
    expect(difference(parts.numbers, whole.numbers)).toBeLessThan(1e-11);
    expect(parts.tokens).toBe(whole.tokens);
    const gpu = await train({ ...overrides, batch_size: 2, grad_accumulation: 4 }, "webgpu");
    expect(difference(gpu.numbers, whole.numbers.slice(0, gpu.numbers.length))).toBeLessThan(1e-5);
    expect(gpu.tokens).toBe(whole.tokens);
  });
});

test("with gains, dropout and Muon too: what a step leaves out is counted through its micro-batches", async () => {
  const llama = {
    norm_gain: true,
    final_norm: true,
    position: "rope",
    activation: "swiglu",
  } as const;
  const settings = { ...llama, dropout: 0.3, optimizer: "muon", weight_decay: 0.1 } as const;
  const whole = await train({ ...settings, batch_size: 8 }, "cpu");
  const parts = await train({ ...settings, batch_size: 2, grad_accumulation: 4 }, "cpu");
  expect(difference(parts.numbers, whole.numbers)).toBeLessThan(1e-11);
});

test("SGD's steps along a gradient that stays the same add up to the geometric series'", () => {
  const [lr, momentum, g] = [0.1, 0.75, 3];
  const [params, m] = [Float64Array.of(1), Float64Array.of(0)];
  let expected = 1;
  for (let t = 1; t <= 20; t++) {
    sgd(params, m, Float64Array.of(2 * g), { size: 1, lr, momentum, weight_decay: 0, clip: 0.5 });
    expected -= (lr * g * (1 - momentum ** t)) / (1 - momentum);
    expect(params[0]).toBeCloseTo(expected, 12);
  }
  const before = params[0];
  sgd(params, m, Float64Array.of(0), { size: 1, lr, momentum: 0, weight_decay: 0.5, clip: 1 });
  expect(params[0]).toBeCloseTo(before * (1 - lr * 0.5), 12);
});

test("the engine of small models leaves other optimizers and micro-batches to the general one", () => {
  const choose = (overrides: Partial<Config>) => {
    const { config, dims } = setUp({ n_layer: 1, ...overrides });
    return chooseSmall(device, config, dims, lines);
  };
  expect(choose({})).toBeDefined();
  for (const optimizer of ["muon", "sgd"] as const) expect(choose({ optimizer })).toBeUndefined();
  expect(choose({ grad_accumulation: 2 })).toBeUndefined();
  expect(choose({ lr_schedule: "wsd", warmup_steps: 2, final_lr_fraction: 0.1 })).toBeDefined();
});

test("what a run computes grows with its micro-batches, and with Muon's products", () => {
  const sizes = { steps: 10, length: 7, validated: 0 };
  const flops = (overrides: Partial<Config>) => {
    const { config, dims } = setUp({ num_samples: 0, ...overrides });
    return trainingWork(config, dims, sizes).flops;
  };
  const one = flops({});
  expect(flops({ grad_accumulation: 3 })).toBeCloseTo(3 * one, -1);
  const C = 16;
  const square = 4 * (6 * C ** 3);
  const long = 2 * (4 * 4 * C ** 3 + 2 * C ** 3); // of fc1 and fc2
  expect(flops({ optimizer: "muon" }) - one).toBeCloseTo(10 * 2 * 5 * (square + long), -1);
});

test.skipIf(!device.features.includes("shader-f16"))(
  "where gradients overflow f16 the step is skipped, whatever the optimizer",
  async () => {
    for (const optimizer of ["adamw", "muon", "sgd"] as const) {
      const { config, dims, params } = setUp({ optimizer, dtype: "f16", init_std: 3 });
      const trainer = await GpuTrainer.create(device, config, dims, params, lines);
      writeTensor(device, trainer.tensors.scaler, Float32Array.of(2 ** 24, 0));
      const before = await trainer.state();
      const records = [];
      for await (const record of trainer.run(1)) records.push(record);
      expect(records).toMatchObject([{ step: 1, skipped: true }]);
      const { values, m, v, scaler } = await trainer.state();
      trainer.destroy();
      expect({ values, m, v }).toEqual({ values: before.values, m: before.m, v: before.v });
      expect(scaler).toEqual([2 ** 23, 0, 1]);
    }
  },
);
