// Sweeps: which models are trained together, how their losses are told, stopping, and models too large for a workgroup.

import { expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { ConfigError } from "../src/errors.ts";
import type { Sequences } from "../src/text/documents.ts";
import { corpusOf } from "../src/text/read_corpus.ts";
import { chooseSmall } from "../src/training/choose_trainer.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { tokenizeDocuments } from "../src/text/batches.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { planSweep } from "../src/training/sweep_plan.ts";
import { Sweep } from "../src/training/sweep.ts";
import type { SweepModel } from "../src/training/sweep_model.ts";
import { Tally } from "../src/training/tally.ts";
import { Training } from "../src/training/train.ts";
import { device } from "./harness/device.ts";

const documents = ["anna", "bob", "carla", "dave", "a-name-longer-than-the-context"];
const corpus = corpusOf(documents, "lines");
const config = (overrides: Partial<Config>) =>
  resolveConfig("microgpt", { num_steps: 20, ...overrides });

async function outcomes(sweep: Sweep, signal?: AbortSignal): Promise<SweepModel[]> {
  const models: SweepModel[] = [];
  for await (const event of sweep.run(signal)) if (event.type === "model") models.push(event);
  return models;
}

test("models of one shape and of different dtypes are no group: f16 is not what a workgroup trains with", () => {
  const configs = (["f32", "f16", "f32"] as const).map((dtype) => config({ dtype }));
  const plan = planSweep(device, configs, corpus);
  expect(plan.map(({ indices, tuning }) => [indices, tuning !== undefined])).toEqual([
    [[0, 2], true],
    [[1], false],
  ]);
});

test("a tally tells the last loss and the mean of the last tenth of the steps", () => {
  const tally = new Tally(30);
  expect([tally.steps, tally.loss, tally.mean]).toEqual([0, NaN, NaN]);
  tally.add(5, 1);
  expect(tally.mean).toBe(5);
  for (let step = 2; step <= 30; step++) tally.add(step, 1);
  expect([tally.steps, tally.loss, tally.mean]).toEqual([30, 30, 29]);
});

test("after a loss or a gradient that is not finite nothing counts any more", () => {
  for (const [loss, norm] of [
    [NaN, 1],
    [2, Infinity],
    [1e39, 1], // no float32, where the CPU goes on in float64
    [2, 1e39],
  ]) {
    const tally = new Tally(30);
    tally.add(3, 1);
    tally.add(loss, norm);
    tally.add(1, 1);
    expect([tally.steps, tally.diverged, tally.mean]).toEqual([2, true, NaN]);
  }
});

test("a step that was skipped for its gradients is none that diverged", () => {
  const tally = new Tally(30);
  tally.add(3, Infinity, true);
  tally.add(2, 1);
  expect([tally.steps, tally.diverged, tally.mean]).toEqual([2, false, 2.5]);
  tally.add(NaN, Infinity, true);
  expect(tally.diverged).toBe(true);
});

test.runIf(device.features.includes("shader-f16"))(
  "in f16 models go on after steps that overflow, as `train` does",
  async () => {
    const wild = config({ dtype: "f16", init_std: 5, num_steps: 40 });
    const training = await Training.open({ config: wild, documents, device: "webgpu" });
    let [skipped, last] = [0, NaN];
    for await (const event of training.steps()) {
      if (event.skipped) skipped++;
      last = event.loss;
    }
    training.close();
    expect(skipped).toBeGreaterThan(0);
    const sweep = await Sweep.open({ configs: [wild], documents, device: "webgpu" });
    const [model] = await outcomes(sweep);
    expect(model).toMatchObject({ steps: 40, final_loss: last });
  },
);

test("a dtype that the device does not have is refused before the first model is trained", async () => {
  const configs = [config({}), config({ dtype: "f16" })];
  await expect(Sweep.open({ configs, documents, device: "cpu" })).rejects.toThrow(ConfigError);
});

test("models of a shape are trained together, as many as memory allows, the others by themselves", () => {
  const configs = [
    ...[1, 2, 3, 4, 5].map((seed) => config({ seed })),
    config({ n_embd: 8 }),
    config({ n_embd: 256, block_size: 64 }),
    config({ n_embd: 8, seed: 3 }),
  ];
  const limits = { ...device.limits, maxStorageBufferBindingSize: 3 * 8 * 4500 };
  const poor = { software: true, lanes: 8, gpu: { limits: { ...limits, maxBufferSize: 2 ** 30 } } };
  Object.assign(poor.gpu.limits, {
    maxComputeWorkgroupStorageSize: 32768,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
  });
  const plan = planSweep(poor as unknown as Device, configs, corpus);
  const groups = plan.map(({ tuning, indices }) => [tuning !== undefined, indices]);
  expect(groups).toEqual([
    [true, [0, 1, 2]],
    [true, [3, 4]],
    [true, [5, 7]],
    [false, [6]],
  ]);
  const alone = planSweep(undefined, configs, corpus);
  expect(alone.map(({ indices }) => indices.length)).toEqual(configs.map(() => 1));
});

test("documents that a buffer cannot hold are no work for one workgroup", () => {
  const tokens = 4 * (6 + 5 + 7 + 6 + 17);
  const tuningWith = (maxStorageBufferBindingSize: number) => {
    const limits = {
      maxBufferSize: 2 ** 30,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 256,
      maxStorageBufferBindingSize,
    };
    const poor = { lanes: 8, gpu: { limits } } as unknown as Device;
    const { dims, tokens: sequences } = planSweep(undefined, [config({})], corpus)[0];
    return chooseSmall(poor, config({}), dims, sequences as Sequences);
  };
  expect(tuningWith(tokens)).toBeDefined();
  expect(tuningWith(tokens - 1)).toBeUndefined();
});

test.each(["cpu", "webgpu"] as const)(
  "models of several shapes, the best one as `train` makes it: %s",
  async (choice) => {
    const configs = [
      config({}),
      config({ seed: 3, learning_rate: 0.03 }),
      config({ n_embd: 8, n_head: 2 }),
    ];
    const sweep = await Sweep.open({ configs, documents, device: choice });
    expect(sweep.start).toMatchObject({
      device: choice,
      num_models: 3,
      num_small: choice === "cpu" ? 0 : 3,
      model_steps: 60,
    });
    const models = await outcomes(sweep);
    expect([sweep.models, sweep.model_steps]).toEqual([3, 60]);
    const { outcome, model } = sweep.best!;
    const chosen = configs[outcome.index];
    const training = await Training.open({ config: chosen, documents, device: choice });
    let last = NaN;
    for await (const { loss } of training.steps()) last = loss;
    const { values } = await training.model();
    training.close();
    expect(models.map(({ steps }) => steps)).toEqual([20, 20, 20]);
    expect(models[outcome.index].final_loss).toBe(last);
    expect(model.values).toEqual(values);
  },
);

test.each(["cpu", "webgpu"] as const)(
  "every model of a sweep is validated with the same documents, whatever its seed: %s",
  async (choice) => {
    const [first, ...seeds] = [9, 1, 2, 3];
    // Models that learn nothing: the last of so many steps tells by its loss which document it was trained on.
    const still = { learning_rate: 0, init_std: 0.5, val_fraction: 0.4 };
    const configs = [
      config({ ...still, seed: first, num_steps: 1 }),
      ...seeds.flatMap((seed) =>
        [1, 2, 3].map((num_steps) => config({ ...still, seed, num_steps })),
      ),
    ];
    const sweep = await Sweep.open({ configs, documents, device: choice });
    const models = (await outcomes(sweep)).sort((a, b) => a.index - b.index);

    const shuffled = (random: PythonRandom) => {
      const list = [...documents];
      random.shuffle(list);
      return list;
    };
    const held = shuffled(new PythonRandom(first)).slice(3);
    for (const { config, final_loss, val_loss } of models) {
      const random = new PythonRandom(config.seed);
      const trained = shuffled(random).filter((document) => !held.includes(document));
      const dims = dimsOf(config, corpus.tokenizer.vocab_size);
      const params = initialParameters(config, dims, random);
      const cpu = new CpuTrainer(config, dims, params, []);
      const lossOf = (list: string[]) =>
        cpu.evaluate(tokenizeDocuments(list, corpus.tokenizer, config.block_size));
      expect(val_loss).toBeCloseTo(await lossOf(held), 4);
      expect(final_loss).toBeCloseTo(await lossOf([trained[config.num_steps - 1]]), 4);
    }
    // The first one is what `train` makes of it.
    const training = await Training.open({ config: configs[0], documents, device: choice });
    const losses: number[] = [];
    for await (const event of training.run()) {
      if (event.type === "eval") losses.push(event.val_loss);
    }
    training.close();
    expect(losses).toEqual([models[0].val_loss]);
  },
);

test("models of different held-out parts, or of different readings of the text, are not compared", async () => {
  for (const [name, ...values] of [
    ["val_fraction", 0, 0.4],
    ["val_fraction", 0.2, 0.4],
  ] as const) {
    const configs = values.map((value) => config({ [name]: value }));
    const opening = Sweep.open({ configs, documents, device: "cpu" });
    await expect(opening).rejects.toThrow(new RegExp(`^${name} is .* could not be compared`));
  }
});

test("models that are too large for a workgroup are trained one after the other", async () => {
  const configs = [1, 2].map((seed) => config({ seed, n_embd: 96, block_size: 32, num_steps: 2 }));
  const sweep = await Sweep.open({ configs, documents, device: "webgpu" });
  expect(sweep.start.num_small).toBe(0);
  const models = await outcomes(sweep);
  expect(models.map(({ index, steps }) => [index, steps])).toEqual([
    [0, 2],
    [1, 2],
  ]);
});

test("runs that diverge are told, never best, and do not touch the others", async () => {
  const configs = [config({ learning_rate: 1e38 }), config({})];
  const sweep = await Sweep.open({ configs, documents, device: "webgpu" });
  const models = await outcomes(sweep);
  expect(models[0].final_loss).toBeNaN();
  expect(models[0].steps).toBeLessThan(20);
  expect(models[1].steps).toBe(20);
  expect(sweep.best!.outcome.index).toBe(1);

  const hopeless = await Sweep.open({ configs: [configs[0]], documents, device: "cpu" });
  expect(await outcomes(hopeless)).toHaveLength(1);
  expect(hopeless.best).toBeUndefined();
});

test.each(["cpu", "webgpu"] as const)("a stopped sweep tells what was done: %s", async (choice) => {
  const configs = [1, 2, 3].map((seed) => config({ seed, num_steps: 1_000_000 }));
  const stop = new AbortController();
  const sweep = await Sweep.open({ configs, documents, device: choice });
  const models: SweepModel[] = [];
  for await (const event of sweep.run(stop.signal)) {
    if (event.type === "model") models.push(event);
    else stop.abort();
  }
  expect(models).toHaveLength(choice === "cpu" ? 1 : 3);
  for (const { steps, mean_loss } of models) {
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(1_000_000);
    expect(mean_loss).toBeGreaterThan(0);
  }
  expect(sweep.best!.model.step).toBeGreaterThan(0);
});

test("a signal ends a model's validation, and the model counts all the same", async () => {
  const stop = new AbortController();
  const evaluate = vi.spyOn(CpuTrainer.prototype, "evaluate");
  evaluate.mockImplementation(async (_, signal) => {
    stop.abort();
    signal!.throwIfAborted();
    return 1;
  });
  const configs = [1, 2].map((seed) => config({ seed, val_fraction: 0.4, num_steps: 3 }));
  const sweep = await Sweep.open({ configs, documents, device: "cpu" });
  const models = await outcomes(sweep, stop.signal);
  evaluate.mockRestore();
  expect(models).toHaveLength(1);
  expect(models[0]).toMatchObject({ steps: 3, val_loss: null });
  expect(sweep.best?.outcome).toBe(models[0]);
});
