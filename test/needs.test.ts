// What a run needs: told before it, and what the device really gave it.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { Meter } from "../src/device/meter.ts";
import { createDecoder } from "../src/generation/choose_decoder.ts";
import { textsTogether } from "../src/generation/generate.ts";
import { isLikeMicrogpt } from "../src/model/engines.ts";
import { dimsOf, initialParameters, parameterCount } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { TokenStream } from "../src/text/stream.ts";
import { createTrainer } from "../src/training/choose_trainer.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { needsOf } from "../src/training/needs.ts";
import { continuationOf } from "./harness/decode.ts";
import { device } from "./harness/device.ts";
import { qwen } from "./harness/shapes.ts";

const models: { name: string; overrides: Partial<Config>; V: number }[] = [
  { name: "microgpt", overrides: {}, V: 27 },
  { name: "odd sizes", overrides: { n_layer: 3, n_embd: 15, n_head: 3, block_size: 7 }, V: 5 },
  { name: "a batch", overrides: { batch_size: 9, activation: "relu_squared" }, V: 27 },
  { name: "a wide one", overrides: { batch_size: 9, n_embd: 256, n_layer: 2 }, V: 65 },
  { name: "muon", overrides: { n_layer: 2, optimizer: "muon" }, V: 65 },
  {
    name: "sgd, micro-batches",
    overrides: { batch_size: 3, optimizer: "sgd", grad_accumulation: 3 },
    V: 27,
  },
  {
    name: "gelu, dropout, softcap",
    overrides: { batch_size: 3, activation: "gelu", dropout: 0.1, logit_softcap: 5 },
    V: 27,
  },
  {
    name: "qwen3's shape",
    overrides: { n_layer: 2, ...qwen },
    V: 27,
  },
];

const inHalf = models
  .filter(() => device.features.includes("shader-f16"))
  .map(({ name, overrides, V }) => ({
    name: `${name}, in f16`,
    overrides: { ...overrides, dtype: "f16" as const },
    V,
  }));

function setUp(overrides: Partial<Config>, V: number) {
  const config = resolveConfig("microgpt", overrides);
  const dims = dimsOf(config, V);
  return { config, dims, params: initialParameters(config, dims, new PythonRandom(1)) };
}

/** Peak bytes of the device's buffers during `action`, all of which must be gone after it. */
async function peakBytes(action: () => Promise<void>): Promise<number> {
  const meter = new Meter(device);
  try {
    await action();
  } finally {
    meter.stop();
  }
  expect(meter.bytes).toBe(0);
  return meter.peak_bytes;
}

const validating = models.map(({ name, overrides, V }) => ({
  name: `${name}, with validation`,
  overrides: { ...overrides, val_fraction: 0.5 },
  V,
}));

test.each<Partial<Config>>([
  { n_layer: 2 ** 24 },
  { n_embd: 2 ** 24 },
  { n_embd: 2 ** 24, n_head: 2 ** 24 },
  { block_size: 2 ** 24 },
  { batch_size: 2 ** 24, format: "text" },
  {
    n_layer: 2 ** 24,
    n_embd: 2 ** 24,
    block_size: 2 ** 24,
    batch_size: 2 ** 24,
    val_fraction: 0.1,
  },
])("what an absurd model needs is told at once: %j", (overrides) => {
  const config = resolveConfig("microgpt", overrides);
  const dims = dimsOf(config, 27);
  const { training, dtype_bytes, generation } = needsOf(config, dims);
  const bytes = [...Object.values(training), ...Object.values(dtype_bytes)];
  for (const count of bytes) expect(count).toBeGreaterThan(4 * parameterCount(dims));
  expect(generation.device_bytes).toBeGreaterThan(4 * parameterCount(dims));
});

test.each([...models, ...validating, ...inHalf])(
  "training takes the bytes foretold: $name",
  async (model) => {
    const { config, dims, params } = setUp(model.overrides, model.V);
    const sequences = [Int32Array.of(0, 1, 2, 0), Int32Array.of(0, 1, 0)];
    const peak = await peakBytes(async () => {
      const trainer = await createTrainer(device, config, dims, params, sequences);
      const general =
        config.n_embd > 100 || config.optimizer !== "adamw" || !isLikeMicrogpt(config);
      expect(trainer instanceof GpuTrainer).toBe(general || config.dtype === "f16");
      for await (const _ of trainer.run(3));
      for (let times = 0; times < 2; times++) {
        if (config.val_fraction > 0) await trainer.evaluate(sequences);
      }
      trainer.destroy();
    });
    expect(peak).toBe(needsOf(config, dims, sequences, device).training.device_bytes);
  },
);

test("a stream takes the general trainer's bytes, whatever the size of the model", async () => {
  const { config, dims, params } = setUp({ format: "text", val_fraction: 0.1 }, 27);
  const stream = new TokenStream(new Int32Array(100), config);
  const peak = await peakBytes(async () => {
    const trainer = await createTrainer(device, config, dims, params, stream, {
      tuning: { mode: "off" },
    });
    expect(trainer).toBeInstanceOf(GpuTrainer);
    for await (const _ of trainer.run(2));
    await trainer.evaluate([new Int32Array(17)]);
    trainer.destroy();
  });
  for (const examples of [stream, undefined]) {
    expect(needsOf(config, dims, examples, device).training.device_bytes).toBe(peak);
  }
});

test.each(models)("generating takes the bytes foretold: $name", async ({ overrides, V }) => {
  const { config, dims, params } = setUp(overrides, V);
  const peak = await peakBytes(async () => {
    const decoder = await createDecoder(device, config, dims, params);
    const write = async (seed: number) => {
      for await (const _ of decoder.decode(
        continuationOf([0, 1], { random: new PythonRandom(seed) }),
      ));
    };
    await Promise.all([1, 2, 3].slice(0, textsTogether(config, 3)).map(write));
    decoder.destroy();
  });
  expect(peak).toBe(needsOf(config, dims, undefined, device).generation.device_bytes);
});

test("with f16 activations take half, weights a half more, and all else what it did", () => {
  const { config, dims } = setUp({ batch_size: 64, n_embd: 256, n_layer: 4, format: "text" }, 65);
  const N = 64 * dims.T;
  // of each layer ln1, qkv, att, ln2 and act; what flows back shares memory with tensors in f32
  const halved = 2 * N * dims.L * 10 * dims.C;
  const copied = 2 * parameterCount(dims);
  const { f32, f16 } = needsOf(config, dims, undefined, device).dtype_bytes;
  const share = (f32 - f16) / (halved - copied);
  expect(share).toBeGreaterThan(0.8);
  expect(share).toBeLessThanOrEqual(1.01);
});

test("without a device at hand, the bytes of a usual GPU are foretold", () => {
  const { config, dims } = setUp({ n_embd: 256 }, 27);
  const { training } = needsOf(config, dims);
  const here = needsOf(config, dims, undefined, device).training;
  expect(training.device_bytes / here.device_bytes).toBeCloseTo(1, 1);
});

test("an absurd number of layers is counted at once, each as the last of those written out", () => {
  const bytes = (L: number) => {
    const config = resolveConfig("microgpt");
    return needsOf(config, { ...dimsOf(config, 27), L });
  };
  const [many, more] = [bytes(1000), bytes(2 ** 24)];
  const layers = (2 ** 24 - 1000) / (1000 - 500);
  const half = bytes(500);
  for (const kind of ["training", "generation"] as const) {
    for (const key of ["device_bytes", "host_bytes", "cpu_bytes"] as const) {
      const expected = many[kind][key] + layers * (many[kind][key] - half[kind][key]);
      expect(more[kind][key]).toBeCloseTo(expected, 0);
    }
  }
});

test("a token costs 6 operations a weight that is multiplied, and attention's products", () => {
  const shape = { block_size: 256, n_embd: 384, n_head: 6, n_layer: 6 };
  const config = resolveConfig("microgpt", shape);
  const weights = 65 * 384 + 6 * 12 * 384 ** 2;
  const { flops_per_token } = needsOf(config, dimsOf(config, 65));
  expect(flops_per_token).toBe(6 * weights + 6 * 6 * 384 * 256);
});
