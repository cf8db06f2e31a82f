// The package as a library: what it exports, what it refuses, and that what it gives stays as it is.

import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { ConfigError, DataError, ModelFileError, UserError } from "../src/errors.ts";
import * as noFolders from "../src/files/model_dir.browser.ts";
import * as library from "../src/index.ts";
import {
  type Checkpoint,
  exportModel,
  generate,
  importModel,
  load,
  loadCheckpoint,
  type Model,
  save,
  toBytes,
  train,
  type TrainOptions,
} from "../src/index.ts";
import { Training } from "../src/training/train.ts";
import { temporaryFolder } from "./cli/fake_io.ts";

const names = ["ada", "grace", "alan", "emmy"];
const quick = { n_embd: 8, n_head: 2, block_size: 8, num_samples: 2, device: "cpu" } as const;

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

async function trained(
  num_steps = 3,
  options: TrainOptions = {},
): Promise<{ model: Model; training: Training }> {
  const training = await train(names, { ...quick, num_steps, ...options });
  await collect(training.steps());
  return { model: await training.model(), training };
}

test("its functions are these", () => {
  const functions = Object.entries(library).filter(([name]) => /^[a-z]/.test(name));
  expect(functions.map(([name]) => name).sort()).toEqual([
    "chat",
    "exportModel",
    "generate",
    "importModel",
    "load",
    "loadCheckpoint",
    "presets",
    "save",
    "settings",
    "toBytes",
    "train",
  ]);
});

describe("what nobody knows is refused", () => {
  test.each([
    ["lr", "Did you mean learning_rate?"],
    ["steps", "Did you mean num_steps?"],
    ["n_layers", "Did you mean n_layer?"],
    ["batchSize", "Did you mean batch_size?"],
    ["zzzzzzzzzzzz", "Known are format, field, separator, skip_bad_lines, val_fraction, "],
  ])("the setting %s", (name, advice) => {
    const resolve = () => resolveConfig("microgpt", { [name]: 0.5 });
    expect(resolve).toThrow(ConfigError);
    expect(resolve).toThrow(`There is no setting "${name}". ${advice}`);
  });

  test.each<[object, string]>([
    [{ lr: 0.5 }, 'There is no option "lr". Did you mean learning_rate?'],
    [{ devcie: "cpu" }, 'There is no option "devcie". Did you mean device?'],
    [{ device: "gpu" }, 'device is "gpu"; it must be auto or webgpu or cpu.'],
    [{ tuning: "always" }, 'tuning is "always"; it must be auto or off or measure.'],
    [{ preset: "large" }, 'There is no preset "large"'],
    [
      { activation: "silu" },
      'activation is "silu"; it must be relu or relu_squared or gelu or swiglu.',
    ],
  ])("train(names, %j)", async (options, sentence) => {
    const opened = train(names, options);
    await expect(opened).rejects.toThrow(ConfigError);
    await expect(opened).rejects.toThrow(sentence);
  });

  test.each<[object, string]>([
    [{ temprature: 1 }, 'There is no option "temprature". Did you mean temperature?'],
    [{ n_layer: 2 }, 'There is no option "n_layer".'],
    [{ device: "gpu" }, 'device is "gpu"'],
    [{ num_samples: -1 }, "num_samples is -1; it must be a whole number"],
    [{ temperature: "hot" }, 'temperature is "hot"; it must be a number'],
  ])("generate(model, %j)", async (options, sentence) => {
    const { model } = await trained();
    const texts = collect(generate(model, options));
    await expect(texts).rejects.toThrow(ConfigError);
    await expect(texts).rejects.toThrow(sentence);
  });
});

test.each<[string, unknown]>([
  ["no document", []],
  ["an empty text", ""],
  ["white space", " \n "],
  ["numbers", [1, 2]],
  ["nothing", undefined],
  ["bytes", new Uint8Array(3)],
])("%s is nothing to train on", async (_, text) => {
  await expect(train(text as string, quick)).rejects.toThrow(DataError);
});

test("nor does a run open on no documents", async () => {
  const config = resolveConfig("microgpt");
  const opened = Training.open({ config, documents: [], device: "cpu" });
  await expect(opened).rejects.toThrow(DataError);
});

test("a text's lines are its documents, and with format text it is one", async () => {
  const [lines, text] = await Promise.all([
    train("ada\n\n grace \n", quick),
    train("ada grace ada grace", { ...quick, format: "text" }),
  ]);
  expect([lines.start.num_docs, lines.start.vocab_size]).toEqual([2, 7]);
  expect([text.start.num_docs, text.start.num_tokens]).toEqual([1, 19]);
});

test("a model leaves in files of other programs, and comes back from them", async () => {
  const { model } = await trained();
  for (const format of ["huggingface", "weights-json", "python"] as const) {
    const { files, notes } = await exportModel(model, format);
    expect(notes.join().includes("modeling_microgpt.py")).toBe(format === "huggingface");
    const back = await importModel(files);
    expect(back.notes).toEqual([]);
    expect(toBytes(back.model)).toEqual(toBytes(model));
  }
  const llama = { activation: "swiglu", position: "rope", norm_gain: true } as const;
  const norms = { embedding_norm: false, final_norm: true } as const;
  const other = await trained(1, { ...llama, ...norms });
  const { files } = await exportModel(other.model, "gguf", { half: true });
  const gguf = new Map([["names.gguf", new Blob([files.get("model.gguf")!])]]);
  expect((await importModel(gguf)).model.layout).toEqual(other.model.layout);
});

test("formats and files that there are not are refused", async () => {
  const { model } = await trained();
  await expect(exportModel(model, "html" as "gguf")).rejects.toThrow(
    'format is "html"; it must be huggingface or gguf or weights-json or python.',
  );
  await expect(exportModel(model, "python", { half: true })).rejects.toThrow(ConfigError);
  await expect(exportModel(model, "gguf")).rejects.toThrow(UserError);
  await expect(importModel(new Map())).rejects.toThrow("There are no files to import");
  const odd = new Map([["a.onnx", new Uint8Array(3)]]);
  await expect(importModel(odd)).rejects.toThrow("a.onnx is nothing that can be imported");
});

test("a model is the same from its folder, its bytes and a Blob of them, and writes the same", async () => {
  const { model } = await trained();
  const folder = temporaryFolder();
  await save(model, folder);
  expect(readdirSync(folder)).toContain("model.safetensors");
  const bytes = toBytes(model);
  const copies = await Promise.all(
    [folder, bytes, bytes.buffer, new Blob([bytes])].map((from) => load(from)),
  );
  const options = { prompt: "a", device: "cpu", seed: 7 } as const;
  const texts = await collect(generate(copies[0], options));
  expect(texts).toHaveLength(2);
  for (const copy of copies) {
    expect(copy.values).toEqual(Float32Array.from(model.values));
    expect(copy.step).toBe(3);
    expect(await collect(generate(copy, options))).toEqual(texts);
  }
  await expect(load(bytes.subarray(1))).rejects.toThrow(ModelFileError);
});

test("a run goes on from its folder and from its bytes", async () => {
  const whole = await collect((await train(names, { ...quick, num_steps: 5 })).steps());
  const { training } = await trained(3);
  const checkpoint = await training.checkpoint();
  const folder = temporaryFolder();
  await save(checkpoint, folder);
  for (const from of [folder, toBytes(checkpoint)]) {
    const resume = await loadCheckpoint(from);
    const rest = await train(names, { resume, num_steps: 5 });
    expect(rest.start).toMatchObject({ device: "cpu", resumed_from: 3 });
    const steps = await collect(rest.steps());
    expect(steps.map(({ step }) => step)).toEqual([4, 5]);
    expect(steps[1].tokens).toBe(whole[4].tokens);
  }
  const other = train(names, { resume: checkpoint, num_steps: 5, n_layer: 2 });
  await expect(other).rejects.toThrow("n_layer is 2, but the run to resume has 1");
});

test("a browser has no folders to save in or to resume from, and says what there is instead", async () => {
  const { model, training } = await trained();
  const checkpoint = await training.checkpoint();
  const calls = [
    () => noFolders.loadCheckpoint("output"),
    () => noFolders.saveModel("output", model),
    () => noFolders.saveCheckpoint("output", checkpoint),
  ];
  for (const call of calls) expect(call).toThrow(/A browser reaches no folder output: .*toBytes/);
});

// The CPU's trainer, the one for small models, in the shape that other tests have compiled, and the general one.
const few = { ...quick, device: "webgpu", format: "text" } as const;
test.each<[string, readonly string[], TrainOptions]>([
  ["cpu", names, quick],
  ["webgpu", ["abcdefghijklmnopqrstuvwxyz", ...names], { device: "webgpu" }],
  ["webgpu", names, few],
])("a model that is kept is that of the step it says: on %s", async (_, text, options) => {
  const trainFor = (num_steps: number) =>
    train(text, { ...options, lr_schedule: "constant", num_steps });
  const training = await trainFor(60);
  let kept: Model | undefined;
  let copy: Model["values"] | undefined;
  let run: Checkpoint | undefined;
  for await (const { step } of training.steps()) {
    if (step !== 5) continue;
    kept = await training.model();
    copy = kept.values.slice();
    run = await training.checkpoint();
    expect(training.step).toBe(kept.step);
  }
  training.close();
  expect(kept!.step).toBeGreaterThanOrEqual(5);
  expect(kept!.step).toBeLessThan(60);
  expect(kept!.values).toEqual(copy);
  expect(run!.step).toBe(kept!.step);
  const again = await trainFor(kept!.step);
  await collect(again.steps());
  expect((await again.model()).values).toEqual(copy);
  again.close();
});

test("a tokenizer is learnt, or given as a tokenizer.json has it", async () => {
  const text = "rain on the roof and rain on the road\n".repeat(20);
  const options = { ...quick, format: "text", num_steps: 2 } as const;
  const first = await train(text, { ...options, tokenizer: "bpe", vocab_size: 270 });
  const model = await first.model();
  expect(model.config).toMatchObject({ tokenizer: "bpe", vocab_size: 270 });
  const given = { ...options, tokenizer: model.tokenizer.toJSON() };
  const second = await train(text, given);
  const losses = (training: Training) => collect(training.steps());
  expect((await losses(second)).map(({ loss }) => loss)).toEqual(
    (await losses(first)).map(({ loss }) => loss),
  );
  const back = await load(toBytes(await second.model()));
  expect(back.config).toMatchObject({ tokenizer: "file", vocab_size: 0 });
  expect(back.tokenizer.toJSON()).toEqual(model.tokenizer.toJSON());
  await expect(train(text, { ...options, tokenizer: { type: "none" } })).rejects.toThrow(
    ModelFileError,
  );
  await expect(train(text, { ...options, vocab_size: 270 })).rejects.toThrow(ConfigError);
});
