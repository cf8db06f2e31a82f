// A run in two parts, the second from a checkpoint's file, is the run in one piece, bit for bit; and what else a
// resumed run may be.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { ConfigError, DataError, ModelFileError, NoWebGpuError } from "../src/errors.ts";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  STATE_FILE,
} from "../src/files/checkpoint.ts";
import { decodeSafetensors, encodeSafetensors, type Tensor } from "../src/files/safetensors.ts";
import { differences, resumedConfig, withoutDevice } from "../src/training/resume.ts";
import { Training, type TrainingOptions } from "../src/training/train.ts";
import { writeTensor } from "../src/device/tensors.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { device } from "./harness/device.ts";

const lines = ["anna", "bob", "carla", "dave", "emma", "frederic", "gus", "hannah", "ida", "jo"];
const verse = "so much depends\nupon\na red wheel\nbarrow\n".repeat(4);

const base = { num_steps: 24, save_seconds: 0, val_fraction: 0.2, eval_every: 7, num_samples: 2 };
const hasHalf = device.features.includes("shader-f16");
const half: Partial<Config> = { dtype: "f16", n_embd: 32, block_size: 16, batch_size: 4 };

function open(overrides: Partial<Config>, options: Partial<TrainingOptions> = {}) {
  const config = resolveConfig("microgpt", { ...base, ...overrides });
  const documents = config.format === "text" ? [verse] : lines;
  return Training.open({ config, documents, device: "webgpu", ...options });
}

/** What a run tells until it is stopped after `steps` steps, and its checkpoint as the file has it. */
async function part(training: Training, steps = Infinity) {
  const events: unknown[] = [];
  const stop = new AbortController();
  for await (const event of training.run(stop.signal)) {
    events.push(event);
    if (event.step >= steps) stop.abort();
  }
  const { bytes } = encodeCheckpoint(await training.checkpoint());
  const samples: string[] = [];
  for await (const { text } of training.samples()) samples.push(text);
  training.close();
  return { events, samples, checkpoint: decodeCheckpoint(bytes, "here") };
}

describe("a run that is stopped and resumed gives the same events, weights, moments and samples", () => {
  const cases: [string, "cpu" | "webgpu", Partial<Config>][] = [
    ["the CPU", "cpu", { batch_size: 2 }],
    ["the CPU, a stream", "cpu", { format: "text", batch_size: 2, grad_clip: 0.5 }],
    ["a workgroup", "webgpu", { weight_decay: 0.1 }],
    ["a workgroup for each part of a batch", "webgpu", { batch_size: 5 }],
    ["the general trainer", "webgpu", { n_layer: 2, n_embd: 48, batch_size: 3 }],
    ["the general trainer, a stream", "webgpu", { format: "text", batch_size: 3, grad_clip: 0.5 }],
  ];
  const micro = { batch_size: 2, grad_accumulation: 3, warmup_steps: 4, dropout: 0.2 };
  for (const device of ["cpu", "webgpu"] as const) {
    cases.push(
      [`adamw in micro-batches, with dropout, ${device}`, device, micro],
      [`muon in micro-batches, with dropout, ${device}`, device, { ...micro, optimizer: "muon" }],
      [
        `sgd on a stream, with dropout, ${device}`,
        device,
        { ...micro, optimizer: "sgd", format: "text" },
      ],
    );
  }
  if (hasHalf) cases.push(["f16", "webgpu", half]);
  if (hasHalf) cases.push(["f16, muon", "webgpu", { ...half, optimizer: "muon" }]);

  test.each(cases)("%s", async (_, device, overrides) => {
    const whole = await part(await open(overrides, { device }));
    for (const stop of [1, 7, 16]) {
      const first = await part(await open(overrides, { device }), stop);
      const resume = first.checkpoint;
      expect(resume.step).toBeGreaterThanOrEqual(stop);
      expect(resume.step).toBeLessThan(base.num_steps);
      const training = await open(overrides, { device, resume });
      expect(training.start).toMatchObject({ resumed_from: resume.step, differences: [] });
      const second = await part(training);
      expect([...first.events, ...second.events]).toEqual(whole.events);
      expect(second.samples).toEqual(whole.samples);
      expect(second.checkpoint).toEqual(whole.checkpoint);
    }
  });
});

test("checkpoints are due every save_every steps, after the validation of the same step, and change nothing", async () => {
  for (const device of ["cpu", "webgpu"] as const) {
    const plain = await part(await open({ eval_every: 6 }, { device }));
    const training = await open({ eval_every: 6, save_every: 4 }, { device });
    const events: { type: string; step: number }[] = [];
    const states: Checkpoint[] = [];
    for await (const event of training.run()) {
      events.push(event);
      if (event.type === "save") states.push(await training.checkpoint());
    }
    training.close();
    const told = events.filter(({ type }) => type !== "step").map(({ type, step }) => type + step);
    expect(told.join(" ")).toBe(
      "save4 eval6 save8 eval12 save12 save16 eval18 save20 save24 eval24",
    );
    const unsaved = ({ type }: { type: string }) => type !== "save";
    expect(events.filter(unsaved)).toEqual((plain.events as typeof events).filter(unsaved));
    expect(states.map(({ step }) => step)).toEqual([4, 8, 12, 16, 20, 24]);

    // The one of step 12 is not changed by the steps after it, and validates no second time.
    const rest = await part(await open({ eval_every: 6 }, { device, resume: states[2] }));
    const after = plain.events.findIndex((event) => (event as { step: number }).step === 13);
    expect(rest.events).toEqual(plain.events.slice(after));
  }
});

test("a checkpoint among steps in flight is of the last of them, and of the kernels that made them", async () => {
  const training = await open({ num_steps: 200, n_embd: 48 });
  for await (const { step } of training.steps()) if (step === 5) break;
  const checkpoint = await training.checkpoint();
  expect(checkpoint.step).toBe(training.step);
  expect(checkpoint.step).toBeGreaterThanOrEqual(5);
  training.close();

  // The choice of kernels is of the checkpoint too.
  expect(checkpoint.kernels).toMatch(/^[0-9a-f]{12}$/);
  const resume = { ...checkpoint, kernels: "other" };
  const other = await open({ num_steps: 200, n_embd: 48 }, { resume });
  expect(other.start.differences).toEqual([expect.stringMatching(/before other/)]);
  other.close();
});

test.skipIf(!hasHalf)(
  "the scale on gradients, and the steps that were skipped, go on too",
  async () => {
    const sequences = Array.from({ length: 20 }, (_, i) => Int32Array.of(6, i % 6, (i * i) % 6, 6));
    const create = async () => {
      const settings = { block_size: 8, num_steps: 50, dtype: "f16", init_std: 3 } as const;
      const config = resolveConfig("microgpt", settings);
      const dims = dimsOf(config, 7);
      const params = initialParameters(config, dims, new PythonRandom(1));
      return GpuTrainer.create(device, config, dims, params, sequences);
    };
    const run = async (trainer: GpuTrainer, until: number) => {
      const records = [];
      for await (const record of trainer.run(until)) records.push(record);
      return records;
    };
    const [whole, first, second] = [await create(), await create(), await create()];
    for (const trainer of [whole, first]) {
      writeTensor(device, trainer.tensors.scaler, Float32Array.of(2 ** 24, 0)); // overflows
    }
    const records = await run(whole, 18);
    const skipped = records.filter((record) => "skipped" in record).length;
    const before = await run(first, 3);
    const state = await first.state();
    expect(state).toMatchObject({ step: 3, skips: 3, scaler: [2 ** 21, 0, 3] });
    second.restore(state);
    expect([...before, ...(await run(second, 18))]).toEqual(records); // corrections of Adam included
    const end = await second.state();
    expect(end).toEqual(await whole.state());
    expect(end.scaler[2]).toBe(skipped);
    expect(skipped).toBeGreaterThan(3);
    expect(records.at(-1)).not.toHaveProperty("skipped");
    writeTensor(device, second.tensors.scaler, Float32Array.of(2, 1998, 5));
    expect((await second.state()).scaler).toEqual([2, 1998, 5]);
    for (const trainer of [whole, first, second]) trainer.destroy();
  },
);

describe("a run to resume", () => {
  const trained = async (overrides: Partial<Config> = {}) =>
    (await part(await open({ num_steps: 6, ...overrides }, { device: "cpu" }))).checkpoint;

  test("is trained further with more steps, at the learning rates of so many", async () => {
    const resume = await trained();
    const config = resumedConfig(resume, { num_steps: 8 });
    const training = await open(config, { device: "auto", resume });
    expect(training.start.device).toBe("cpu"); // auto is what it was
    expect(training.start.differences).toEqual([
      "Its learning rates are from here on those of a run of 8 steps, before of 6.",
    ]);
    const { events, checkpoint } = await part(training);
    expect(events[0]).toMatchObject({ step: 7, lr: 0.01 * (1 - 6 / 8) });
    expect(checkpoint.config.num_steps).toBe(8);
  });

  test("may go on elsewhere, and says so", async () => {
    const resume = await trained({ num_steps: 5 });
    const config = resumedConfig(resume, { num_steps: 7 });
    const there = await open(config, { device: "webgpu", resume });
    expect(there.start.differences[0]).toMatch(
      /^It goes on by .* with dtype f32 and was trained by the CPU in float64: /,
    );
    const { events, checkpoint } = await part(there);
    const [here] = (await part(await open(config, { resume }), 6)).events as { loss: number }[];
    expect(Math.abs((events[0] as { loss: number }).loss - here.loss)).toBeLessThan(1e-5);
    const longer = resumedConfig(checkpoint, { num_steps: 8 });
    const back = await open(longer, { device: "cpu", resume: checkpoint });
    expect(back.start.differences[0]).toMatch(/^It goes on by the CPU in float64 and was .*f32/);
    back.close();
  });

  test("tells of other kernels", async () => {
    const before = await trained();
    const now = {
      device: "webgpu",
      adapter: "a GPU",
      kernels: "1a",
      config: before.config,
    } as const;
    const told = (changes: object) => differences({ ...before, ...now, ...changes }, now);
    expect(told({})).toEqual([]);
    expect(told({ kernels: "2b" })).toEqual([
      "Other kernels, or another driver, make its products (choice 1a, before 2b): the last digits may differ.",
    ]);
    expect(told({ kernels: null })[0]).toMatch(/before none/);
    expect(told({ adapter: "another" })).toHaveLength(1);
  });

  test("is told where it can go on, if not here", async () => {
    const before = await trained();
    const half = { ...before.config, num_steps: 9, dtype: "f16" } as const;
    const resume = { ...before, config: half };
    await expect(open(half, { device: "cpu", resume })).rejects.toThrow(
      /^With dtype f16 .* the CPU trains in float64\. Resume it where there is f16, or begin a new run\.$/,
    );
    const told = (config: Config, error: Error) =>
      (withoutDevice({ config, device: "webgpu" }, error) as Error).message;
    const none = new NoWebGpuError("There is no GPU.");
    expect(told(before.config, none)).toMatch(/^There is no GPU\. .* with device cpu it goes on/);
    expect(told(half, none)).toMatch(/ with its dtype, f16, it goes on only where there is one\.$/);
    expect(told(half, new Error("lost"))).toBe("lost");
    expect(withoutDevice(before, none)).toBe(none); // the CPU's own run goes on without
  });

  test("keeps its settings, but for those without influence on the training", async () => {
    const resume = await trained();
    const more = { num_steps: 9, temperature: 1, num_samples: 1, log_every: 1, save_every: 2 };
    expect(resumedConfig(resume, more)).toEqual({ ...resume.config, ...more });
    const refused = (overrides: Partial<Config>) => () => resumedConfig(resume, overrides);
    expect(refused({ learning_rate: 0.5, num_steps: 9 })).toThrow(ConfigError);
    expect(refused({ learning_rate: 0.5, num_steps: 9 })).toThrow(
      "learning_rate is 0.5, but the run to resume has 0.01; leave it out, or begin a new run.",
    );
    expect(refused({})).toThrow(
      "The run to resume has done all its 6 steps. To train it further, set num_steps to more.",
    );
    expect(refused({ num_steps: 4 })).toThrow(
      "num_steps is 4, but the run to resume has done 6 steps already; set it to more.",
    );
    const config = { ...resume.config, num_steps: 9, n_embd: 32 };
    await expect(open(config, { resume })).rejects.toThrow(/^n_embd is 32, but/);
  });

  test.each<[string, string[]]>([
    ["another order", [...lines].reverse()],
    ["a document more", [...lines, "kim"]],
    ["another letter in the place of one", lines.map((line) => line.replace("v", "w"))],
  ])("has no other text: %s", async (_, documents) => {
    const resume = { ...(await trained()), input: ["names.txt"] };
    const config = resumedConfig(resume, { num_steps: 9 });
    const opening = open(config, { device: "cpu", resume, documents });
    await expect(opening).rejects.toThrow(DataError);
    await expect(opening).rejects.toThrow(
      /^The text is not the one that the run to resume was trained on, which was names\.txt: /,
    );
  });

  test("comes from a file that keeps every bit", async () => {
    for (const device of ["cpu", "webgpu"] as const) {
      const training = await open({}, { device, input: ["a file"] });
      for await (const { step } of training.steps()) if (step === 3) break;
      const checkpoint = await training.checkpoint();
      training.close();
      const file = encodeCheckpoint(checkpoint);
      const back = decodeCheckpoint(file.bytes, "here");
      expect(back).toEqual({ ...checkpoint, tokenizer: back.tokenizer });
      expect(back.values).toBeInstanceOf(device === "cpu" ? Float64Array : Float32Array);
      expect(encodeCheckpoint(back)).toEqual(file);
    }
  });
});

describe("a sentence for a training.safetensors", async () => {
  const training = await open({ n_embd: 8, n_head: 2 }, { device: "cpu" });
  const checkpoint = await training.checkpoint();
  training.close();
  const { bytes } = encodeCheckpoint(checkpoint);
  const { tensors, metadata } = decodeSafetensors(bytes, "", ["F64"]);
  const floats = ({ data }: { data: Uint8Array }) => new Float64Array(data.slice().buffer);
  const whole: Tensor[] = tensors.map((tensor) => ({ ...tensor, values: floats(tensor) }));
  const write = (change: (tensor: Tensor, i: number) => object, texts = metadata) =>
    encodeSafetensors(
      whole.map((tensor, i) => Object.assign({ ...tensor }, change(tensor, i))),
      texts,
    );
  const same = () => ({});
  const state = (key: string, value: unknown) =>
    write(same, {
      ...metadata,
      training: JSON.stringify({ ...JSON.parse(metadata.training), [key]: value }),
    });
  const last = whole.length - 1;

  test("of an older version has counted no skipped steps, and goes on as that did", () => {
    const older = decodeCheckpoint(state("scaler", [64, 12]), "here");
    expect(older.scaler).toEqual([64, 12, 0]);
  });

  test.each<[string, Uint8Array | undefined, string]>([
    ["that is not there", undefined, `here holds no run to resume: there is no ${STATE_FILE}`],
    [
      "cut short",
      bytes.subarray(0, bytes.length - 8),
      "is not a safetensors file that can be used",
    ],
    ["cut in its header", bytes.subarray(0, 100), "is not a safetensors file that can be used"],
    ["that is a model", encodeSafetensors([], { config: "{}" }), "format version missing"],
    ["without its counts", write(same, { ...metadata, training: "" }), "the training in here/"],
    [
      "with a step of its own kind",
      write(same, { ...metadata, config: metadata.config.replace(/"step": \d+/, '"step": -1') }),
      "has -1 as its step",
    ],
    [
      "of a newer version",
      write(same, {
        ...metadata,
        config: metadata.config.replace(/"format_version": \d+/, '"format_version": 99'),
      }),
      "format version 99",
    ],
    ["with tokens that are no count", state("tokens", 1.5), "has 1.5 as its tokens"],
    ["with a scale that is no pair", state("scaler", [1]), "has [1] as its scaler"],
    ["with a scale of nothing", state("scaler", [0, 3, 0]), "has [0,3,0] as its scaler"],
    ["with skips that are no count", state("scaler", [1, 3, 0.5]), "has [1,3,0.5] as its scaler"],
    ["with a negative count", state("skips", -1), "has -1 as its skips"],
    ["of a device that is none", state("device", "tpu"), 'has "tpu" as its device'],
    ["without a fingerprint", state("text", null), "has null as its text"],
    [
      "of another shape",
      write(({ shape }, i) => (i === last ? { shape: [...shape].reverse() } : {})),
      "has v.layer0.mlp_fc2 of shape",
    ],
    [
      "of two types",
      write((_, i) => (i === 1 ? { dtype: "F32" } : {})),
      "has wpe of type F32, not F64",
    ],
    [
      "with a moment that is no number",
      write(({ values }, i) => (i === last ? { values: Array.from(values, () => NaN) } : {})),
      "has NaN in v.layer0.mlp_fc2",
    ],
    [
      "without a moment",
      write(({ name }, i) => (i === last ? { name: `${name}2` } : {})),
      "lacks the tensor v.layer0.mlp_fc2",
    ],
    [
      "of another vocabulary",
      write(same, {
        ...metadata,
        config: metadata.config.replace(/"vocab_size": \d+/, '"vocab_size": 3'),
      }),
      "has a vocabulary of 3 tokens and a tokenizer of",
    ],
  ])("%s", (_, damaged, message) => {
    const decode = () => decodeCheckpoint(damaged, "here");
    expect(decode).toThrow(ModelFileError);
    expect(decode).toThrow(message);
    expect(decode).toThrow(/\.$/);
  });

  test("cut anywhere", () => {
    for (let length = 0; length < bytes.length; length += 97) {
      expect(() => decodeCheckpoint(bytes.subarray(0, length), "here")).toThrow(ModelFileError);
    }
  });
});
