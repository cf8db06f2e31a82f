// Recompute: less memory, and not a bit of the run is another.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { Meter } from "../src/device/meter.ts";
import { train } from "../src/index.ts";
import { stepBytes } from "../src/model/memory.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { presets } from "../src/presets.ts";
import { PythonRandom } from "../src/random.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { needsOf } from "../src/training/needs.ts";
import { checkSame } from "../src/training/resume.ts";
import { device } from "./harness/device.ts";
import { qwen } from "./harness/shapes.ts";
import { openNowhere } from "./harness/nowhere.ts";

const V = 27;
const sequences = Array.from({ length: 11 }, (_, i) =>
  Int32Array.from({ length: 2 + ((i * 5) % 13) }, (_, t) => (i * i + 3 * t) % V),
);

function setUp(overrides: Partial<Config>) {
  const settings = { n_layer: 3, batch_size: 4, num_steps: 3, val_fraction: 0.1 };
  const config = resolveConfig("microgpt", { ...settings, ...overrides });
  const dims = dimsOf(config, V);
  return { config, dims, params: initialParameters(config, dims, new PythonRandom(1)) };
}

/** Records, validations and all parameters of a run, and the most bytes of the GPU that it had. */
async function records(overrides: Partial<Config>) {
  const { config, dims, params } = setUp(overrides);
  const meter = new Meter(device);
  const trainer = await GpuTrainer.create(device, config, dims, params, sequences);
  const found: unknown[] = [await trainer.evaluate(sequences)];
  for await (const record of trainer.run(config.num_steps)) found.push(record);
  found.push(await trainer.evaluate(sequences));
  const { peak_bytes } = meter;
  const { values } = await trainer.parameters();
  trainer.destroy();
  meter.stop();
  expect(peak_bytes).toBe(needsOf(config, dims, sequences, device).training.device_bytes);
  return { found, values, peak_bytes };
}

const half = device.features.includes("shader-f16") ? [{ ...qwen, dtype: "f16" as const }] : [];

test.each<Partial<Config>>([
  { optimizer: "sgd" },
  { n_layer: 1, optimizer: "sgd" },
  { ...qwen, dropout: 0.2, grad_accumulation: 2 },
  { activation: "gelu", optimizer: "muon", dropout: 0.1 },
  ...half,
])("a run is the same, bit for bit, in the bytes foretold: %j", async (overrides) => {
  const kept = await records(overrides);
  const again = await records({ ...overrides, recompute: true });
  expect(again.found).toEqual(kept.found);
  expect(again.values).toEqual(kept.values);
  const least = overrides.n_layer === 1 ? kept.peak_bytes : kept.peak_bytes - 1; // of one layer nothing is saved
  expect(again.peak_bytes).toBeLessThanOrEqual(least);
});

test("a large model takes less than half, and its sums are made in as many parts", async () => {
  const config = { ...presets.shakespeare, batch_size: 16 };
  const dims = dimsOf(config, 65);
  const recompute = { ...config, recompute: true };
  const { recompute_bytes, training } = needsOf(config, dims, undefined, device);
  expect(recompute_bytes.off).toBe(training.device_bytes);
  expect(recompute_bytes.on).toBeLessThan(training.device_bytes / 2);
  expect(needsOf(recompute, dims, undefined, device)).toMatchObject({ recompute_bytes });
  expect(stepBytes(recompute, dims)).toBeLessThan(stepBytes(config, dims));
  const nowhere = await openNowhere();
  const planes = (config: Config) =>
    planStep(nowhere, config, dims).table.find(({ name }) => name === "grads")!.shape[0];
  expect(planes(config)).toBeGreaterThan(1);
  expect(planes(recompute)).toBe(planes(config));
  nowhere.destroy();
});

test("on the CPU it changes nothing, and a run may go on with it or without", async () => {
  const onCpu = async (recompute: boolean) => {
    const { config, dims, params } = setUp({ recompute, n_layer: 1 });
    const found = [];
    for await (const record of new CpuTrainer(config, dims, params, sequences).run(2))
      found.push(record);
    return found;
  };
  expect(await onCpu(true)).toEqual(await onCpu(false));
  const settings = { recompute: true, num_steps: 1, device: "cpu" } as const;
  const training = await train(["ab", "ba"], settings);
  training.close();
  expect(training.start.notes.join(" ")).toContain("recompute has nothing to save here");
  const { config } = setUp({});
  expect(() => checkSame({ config, asked_vocab_size: 0 }, { recompute: true })).not.toThrow();
});
