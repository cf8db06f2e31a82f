// `generate`: texts from a saved model.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { loadModel, saveModel } from "../../src/files/model_dir.node.ts";
import { resolveConfig } from "../../src/config.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { ParameterLayout } from "../../src/model/parameters.ts";
import { Training } from "../../src/training/train.ts";
import type { Model } from "../../src/files/model_files.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

let model: Model;

beforeAll(async () => {
  const config = resolveConfig("microgpt", { num_steps: 50 });
  const documents = ["anna", "emma", "otto", "hannah", "bob"];
  const training = await Training.open({ config, documents, device: "cpu" });
  for await (const _ of training.steps());
  model = await training.model();
});

function modelFolder(): string {
  const folder = temporaryFolder();
  saveModel(folder, model);
  return folder;
}

test("the same seed gives the same texts, another seed others", async () => {
  const argv = ["--model-dir", modelFolder(), "--device", "cpu"];
  const first = await runCli(generate, argv);
  expect(first.code).toBe(0);
  expect(first.stdout.match(/^sample +\d+: .*$/gm)).toHaveLength(20);
  expect(await runCli(generate, argv)).toEqual(first);
  expect((await runCli(generate, [...argv, "--seed", "7"])).stdout).not.toBe(first.stdout);
});

test("--num-samples, --temperature and MICROGPT_MODEL_DIR do what they say", async () => {
  const env = { MICROGPT_MODEL_DIR: modelFolder(), MICROGPT_DEVICE: "cpu" };
  const argv = ["--num-samples", "3", "--temperature", "0.01", "--json"];
  const { stdout } = await runCli(generate, argv, env);
  const samples = parseLines(stdout);
  expect(samples.map(({ type, index }) => [type, index])).toEqual([
    ["sample", 1],
    ["sample", 2],
    ["sample", 3],
  ]);
  // nearly no temperature: the likeliest text, each time
  expect(new Set(samples.map(({ text }) => text)).size).toBe(1);
  expect((await runCli(generate, ["--num-samples", "0"], env)).stdout).toBe("");
});

test("every text begins with --prompt", async () => {
  const argv = ["--model-dir", modelFolder(), "--device", "cpu", "--json", "--prompt", "han"];
  const samples = parseLines((await runCli(generate, argv)).stdout);
  expect(samples).toHaveLength(20);
  for (const { text } of samples) expect(text).toMatch(/^han/);
});

test("the GPU and the CPU write the same texts", async () => {
  const argv = ["--model-dir", modelFolder(), "--num-samples", "5"];
  const gpu = await runCli(generate, [...argv, "--device", "webgpu"]);
  expect(gpu.code).toBe(0);
  expect(gpu.stdout).toBe((await runCli(generate, [...argv, "--device", "cpu"])).stdout);
});

test("a model with gaps between its tensors, as a GPU holds it, writes the same texts", async () => {
  const options = { num_samples: 3, temperature: 0.5, seed: 1 };
  const layout = new ParameterLayout(model.layout.dims, 64);
  const values = model.layout.convert(model.values, layout, new Float64Array(layout.size));
  const texts = async (model: Model) => {
    const generator = await Generator.open(model, "cpu");
    const texts: string[] = [];
    for await (const { text } of generator.samples(options)) texts.push(text);
    return texts;
  };
  expect(await texts({ ...model, layout, values })).toEqual(await texts(model));
});

describe("a sentence for", () => {
  test.each<[string, string[], number, string]>([
    [
      "an unknown character in --prompt",
      ["--prompt", "an€"],
      1,
      `no token for "€" (U+20AC, character 3`,
    ],
    ["--temperature -1", ["--temperature", "-1"], 2, "--temperature is -1"],
    ["--top-k 1.5", ["--top-k", "1.5"], 2, "--top-k is 1.5"],
    ["--max-tokens -1", ["--max-tokens", "-1"], 2, "--max-tokens is -1"],
    ["--num-samples -1", ["--num-samples", "-1"], 2, "--num-samples is -1"],
    ["an empty --prompt", ["--prompt="], 2, "--prompt is empty"],
  ])("%s", async (_, argv, code, message) => {
    const all = ["--model-dir", modelFolder(), "--device", "cpu", ...argv];
    const outcome = await runCli(generate, all);
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toContain(message);
    expect(outcome.stderr).toMatch(/^error: [^\n]*\.\n$/);
  });

  test("a folder without a model, a file in its place, a folder that is not there", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "file");
    writeFileSync(file, "");
    for (const [name, message] of [
      [folder, "holds no model: there is no model.safetensors in it"],
      [join(folder, "none"), "holds no model: there is no model.safetensors in it"],
      [file, "model.safetensors cannot be read: a part of its path is a file"],
    ]) {
      const { code, stderr } = await runCli(generate, ["--model-dir", name]);
      expect(code).toBe(1);
      expect(stderr).toContain(message);
    }
    expect(() => loadModel(folder)).toThrow("holds no model");
  });
});
