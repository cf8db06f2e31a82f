// A run that starts from a model: its weights, tokenizer and shape, what may differ, and that it resumes as any other.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main } from "../cli/train.ts";
import type { ConfigChoice } from "../src/config.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../src/files/checkpoint.ts";
import { ConfigError, load, type Model, save, train, UnknownCharacterError } from "../src/index.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { frozenModel } from "../src/training/init_from.ts";
import type { Training } from "../src/training/train.ts";
import { runCli, temporaryFolder } from "./cli/fake_io.ts";
import { jsonLines } from "./harness/conversations.ts";
import { qwen } from "./harness/shapes.ts";

const lines = ["anna", "bob", "carla", "dave", "emma", "frederic", "gus", "hannah", "ida", "jo"];
const few = ["bob", "jo", "dave", "anna", "gus"];
const quick = { device: "cpu", num_samples: 2, save_seconds: 0 } as const;

async function trained(text: string | readonly string[], options: object): Promise<Model> {
  const training = await train(text, { ...quick, num_steps: 6, ...options });
  for await (const _ of training.steps());
  const model = await training.model();
  training.close();
  return model;
}

async function whole(training: Training, steps = Infinity) {
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

const names = await trained(lines, { learning_rate: 0.02, beta1: 0.7 });
const rope = await trained(lines, { ...qwen, n_embd: 8, n_head: 4 });

test("the first step's loss is the model's, and its settings are those that the model was trained with", async () => {
  const all = { num_steps: 1, batch_size: lines.length };
  const training = await train(lines, { ...quick, ...all, initFrom: names });
  const { start } = training;
  expect(start.config).toMatchObject({
    n_embd: 16,
    learning_rate: 0.02,
    beta1: 0.7,
    batch_size: 10,
  });
  const losses: number[] = [];
  for await (const { loss } of training.steps()) losses.push(loss);
  training.close();
  const { config, layout, values, tokenizer } = names;
  const judge = new CpuTrainer(config, layout.dims, Float64Array.from(values), []);
  const { bos } = tokenizer;
  const documents = lines.map((line) => Int32Array.of(bos, ...tokenizer.encode(line), bos));
  expect(losses[0]).toBeCloseTo(await judge.evaluate(documents), 12);
  // A run with a preset has its rates.
  const other = await train(lines, { ...quick, preset: "small", initFrom: names, batch_size: 1 });
  expect(other.start.config).toMatchObject({ n_embd: 16, n_layer: 1, learning_rate: 0.003 });
  other.close();
});

test("it resumes bit for bit, of a text that has fewer characters than the model too", async () => {
  const options = { ...quick, num_steps: 8, val_fraction: 0.2, eval_every: 3 };
  for (const device of ["cpu", "webgpu"] as const) {
    const start = { ...options, device, initFrom: names };
    const piece = await whole(await train(few, start));
    const first = await whole(await train(few, start), 4);
    const { checkpoint: resume } = first;
    expect(resume.tokenizer.vocab_size).toBe(names.tokenizer.vocab_size);
    const second = await whole(await train(few, { device, resume }));
    expect([...first.events, ...second.events]).toEqual(piece.events);
    expect(second.samples).toEqual(piece.samples);
    expect(second.checkpoint).toEqual(piece.checkpoint);
  }
});

test("a model of a text learns to chat: special tokens are new, and all that it had stays", async () => {
  const model = await trained(jsonLines.replace(/[^a-z\n?]/g, " "), {
    format: "text",
    block_size: 32,
  });
  const training = await train(jsonLines, {
    ...quick,
    format: "chat",
    learning_rate: 0,
    num_steps: 1,
    initFrom: model,
  });
  expect(training.start.notes.join()).toContain(
    "had no <|user|>, <|assistant|>, <|end_turn|>: 3 tokens and as many rows of its embedding are new",
  );
  for await (const _ of training.steps());
  const chat = await training.model();
  training.close();
  expect(chat.tokenizer.vocab_size).toBe(model.tokenizer.vocab_size + 3);
  for (const { name, offset, size } of model.layout.slices) {
    const slice = chat.layout.slice(name);
    expect(chat.values.subarray(slice.offset, slice.offset + size)).toEqual(
      model.values.subarray(offset, offset + size),
    );
    const added = chat.values.subarray(slice.offset + size, slice.offset + slice.size);
    expect(new Set(added).size).toBe(/^(wte|lm_head)$/.test(name) ? 3 * 16 : 0);
  }
});

test("the context may be smaller, and with rope larger, which is told", async () => {
  const small = await train(few, { ...quick, block_size: 5, initFrom: names });
  const model = await small.model();
  small.close();
  const [from, to] = [names.layout.slice("wpe"), model.layout.slice("wpe")];
  expect(to.shape).toEqual([5, 16]);
  expect(model.values.subarray(to.offset, to.offset + to.size)).toEqual(
    names.values.subarray(from.offset, from.offset + to.size),
  );
  const large = await train(few, { ...quick, block_size: 24, initFrom: rope });
  expect(large.start.notes.join()).toContain("was trained with 16: positions beyond are new");
  large.close();
});

const refused: [string, Model, Partial<ConfigChoice>, string][] = [
  ["another width", names, { n_embd: 32 }, "n_embd is 32, but the model to start from has 16"],
  ["fewer layers", rope, { n_layer: 2 }, "n_layer is 2, but the model to start from has 1"],
  ["another activation", rope, { activation: "relu" }, "activation is relu, but"],
  ["more learned positions", names, { block_size: 17 }, "at most 16"],
  ["another kind of tokens", names, { tokenizer: "bpe" }, "tokenizer is bpe, but"],
];
test.each(refused)("%s is refused", async (_, initFrom, settings, sentence) => {
  const wrong = train(few, { ...quick, ...(settings as object), initFrom });
  await expect(wrong).rejects.toThrow(ConfigError);
  await expect(wrong).rejects.toThrow(sentence);
});

test("what the model has already may be said, and what it has no token for is refused", async () => {
  const said = {
    n_kv_head: 2,
    head_dim: 2,
    mlp_hidden: 64,
    vocab_size: 0,
    tokenizer: "char",
  } as const;
  const training = await train(few, { ...quick, ...said, initFrom: rope });
  expect(training.start.config).toMatchObject({ n_embd: 8, head_dim: 2, mlp_hidden: 64 });
  training.close();
  const unknown = train(["Zoë"], { ...quick, initFrom: names });
  await expect(unknown).rejects.toThrow(UnknownCharacterError);
  const resume = (await whole(await train(few, { ...quick, num_steps: 2, initFrom: names }), 1))
    .checkpoint;
  await expect(train(few, { resume, initFrom: names })).rejects.toThrow("give one of them");
});

test("the warm-up is in proportion to the steps, and an open batch counts the model's documents", async () => {
  const model = {
    ...names,
    config: { ...names.config, num_steps: 1000, warmup_steps: 100, batch_size: 4 },
  };
  const training = await train(lines, {
    ...quick,
    num_steps: 50,
    batch_size: "auto",
    initFrom: model,
  });
  const { warmup_steps, batch_size, grad_accumulation } = training.start.config;
  expect({ warmup_steps, step: batch_size * grad_accumulation }).toEqual({
    warmup_steps: 5,
    step: 4,
  });
  training.close();
});

test("the command starts from a folder, and says what contradicts it", async () => {
  const [base, folder] = [temporaryFolder(), temporaryFolder()];
  await save(names, base);
  const input = join(base, "few.txt");
  writeFileSync(input, few.join("\n"));
  const argv = [
    "--init-from",
    base,
    "--device",
    "cpu",
    "--steps",
    "4",
    "--input",
    input,
    "--output",
    folder,
  ];
  const { code, stdout } = await runCli(main, argv);
  expect(code).toBe(0);
  expect(stdout).toContain("1 layer, 16 channels");
  const { config, step, tokenizer } = await load(folder);
  expect({ step, rate: config.learning_rate }).toEqual({ step: 4, rate: 0.02 });
  expect(tokenizer.toJSON()).toEqual(names.tokenizer.toJSON());
  const wrong = await runCli(main, [...argv, "--n-layer", "3"]);
  expect(wrong.stderr).toContain("--n-layer is 3, but the model to start from has 1");
  const both = await runCli(main, [...argv, "--resume"]);
  expect(both.stderr).toContain("give one of them");
  const none = await runCli(main, ["--init-from", `${base}/none`, "--output", folder]);
  expect(none.stderr).toContain("holds no model");
  expect([wrong, both, none].map((run) => run.code)).toEqual([2, 2, 1]);
});

test("frozen weights that half precision has no number for are told", () => {
  const values = Float32Array.from(rope.values);
  values[0] = -65520;
  const run = (dtype: "f16" | "f32") => ({ ...rope.config, lora_rank: 2, dtype });
  const initFrom = { ...rope, values };
  const frozen = (dtype: "f16" | "f32") => frozenModel({ initFrom }, run(dtype), rope.tokenizer);
  expect(() => frozen("f16")).toThrow(
    /^With dtype f16 frozen weights are kept in half precision, but wte has a weight of -65520, .* Choose dtype f32\.$/,
  );
  expect(frozen("f32")?.values).toEqual(values);
});
