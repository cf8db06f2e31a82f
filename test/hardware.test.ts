// A training step as hardware would run it: its kernels, bindings and sizes are checked by Dawn without a GPU, which
// computes nothing. What they compute, the parity tests tell.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { tune } from "../src/tuning/tune.ts";
import { openNowhere } from "./harness/nowhere.ts";

const device = await openNowhere();
/** The same with matrix units such as NVIDIA's. */
const withMatrices: Device = Object.create(device, {
  info: {
    value: {
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
      subgroupMatrixConfigs: [
        { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 },
      ],
    },
  },
  lanes: { value: 32 },
});

const models: {
  name: string;
  overrides: Partial<Config>;
  V: number;
  kernels: string[];
  on?: Device;
}[] = [
  {
    name: "large tiles and split sums",
    overrides: { n_layer: 2, n_embd: 128, n_head: 2, block_size: 256, batch_size: 16 },
    V: 65,
    kernels: ["matmul", "matmul_wide", "attention_forward", "gradient_sum"],
  },
  {
    name: "odd sizes",
    overrides: { n_layer: 1, n_embd: 30, n_head: 5, block_size: 33, batch_size: 7 },
    V: 50,
    kernels: ["matmul", "attention_forward"],
  },
  {
    name: "f16 without matrix units",
    overrides: { n_layer: 2, n_embd: 128, n_head: 2, block_size: 64, batch_size: 16, dtype: "f16" },
    V: 65,
    kernels: ["matmul", "matmul_wide", "attention_forward"],
  },
  {
    name: "f16 on matrix units",
    overrides: {
      n_layer: 2,
      n_embd: 288, // heads too wide for attention on matrix units, whose threads the null backend does not take
      n_head: 2,
      block_size: 128,
      batch_size: 16,
      dtype: "f16",
    },
    V: 68,
    kernels: ["matmul_matrix", "attention_forward"],
    on: withMatrices,
  },
];

test.each(models)(
  "its commands are valid: $name",
  async ({ overrides, V, kernels, on = device }) => {
    expect(device.lanes).toBeGreaterThanOrEqual(16);
    const config = resolveConfig("microgpt", overrides);
    const dims = dimsOf(config, V);
    const params = initialParameters(config, dims, new PythonRandom(1));
    const tuning = await tune(on, config, dims, { mode: "off" });
    const sequences = [Int32Array.from({ length: dims.T + 1 }, (_, t) => t % V)];
    const trainer = await GpuTrainer.create(on, config, dims, params, sequences, tuning);
    for await (const _ of trainer.run(2));
    expect(trainer.step).toBe(2);
    await trainer.evaluate(sequences);
    device.check();
    const { dispatches } = trainer.schedule;
    expect(dispatches.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining(kernels));
    const splits = Math.max(...dispatches.map(({ sizes }) => sizes.splits ?? 1));
    expect(splits > 1).toBe(config.batch_size === 16);
    trainer.destroy();
  },
);
