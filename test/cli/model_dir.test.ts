// A model folder on disk: what it holds after a save, a failed save, and a killed one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  loadCheckpoint,
  loadModel,
  saveCheckpoint,
  saveModel,
} from "../../src/files/model_dir.node.ts";
import { resolveConfig } from "../../src/config.ts";
import { ModelFileError } from "../../src/errors.ts";
import type { Checkpoint } from "../../src/files/checkpoint.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import type { Model } from "../../src/files/model_files.ts";
import { temporaryFolder } from "./fake_io.ts";

const files = ["config.json", "model.safetensors", "tokenizer.json"];

function modelOf(chars: string, step: number): Model {
  const config = resolveConfig("microgpt");
  const tokenizer = CharTokenizer.fromDocuments([chars]);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const values = initialParameters(config, dims, new PythonRandom(step));
  return { config, tokenizer, step, layout: new ParameterLayout(dims), values };
}

function checkpointOf(chars: string, step: number): Checkpoint {
  const model = modelOf(chars, step);
  const { values } = model;
  const [m, v] = [values.map((x) => x / 2), values.map((x) => x * x)];
  const place = { text: "1a2b", input: null, device: "cpu", adapter: null, kernels: null } as const;
  const validated = true;
  return {
    ...model,
    m,
    v,
    tokens: 7 * step,
    scaler: [1, 0, 0],
    skips: 0,
    ...place,
    validated,
    best: null,
    asked_vocab_size: 0,
    initialized: false,
  };
}

test("a folder is made, with its parents, and holds three files after a save", () => {
  const folder = join(temporaryFolder(), "a", "b");
  saveModel(folder, modelOf("abc", 7));
  expect(readdirSync(folder).sort()).toEqual(files);
  expect(loadModel(folder).step).toBe(7);
});

test("a save that fails leaves the model before it, and no temporary file", () => {
  const folder = temporaryFolder();
  saveModel(folder, modelOf("abc", 1));
  const before = readFileSync(join(folder, "model.safetensors"));

  const broken = modelOf("abc", 2);
  broken.values[5] = Number.NaN;
  expect(() => saveModel(folder, broken)).toThrow(ModelFileError);

  // a folder in the place of the last file: its rename fails
  const blocked = temporaryFolder();
  mkdirSync(join(blocked, "tokenizer.json", "x"), { recursive: true });
  expect(() => saveModel(blocked, modelOf("abc", 3))).toThrow(/^No model can be saved in .*\.$/);
  expect(readdirSync(blocked).sort()).toEqual(files);

  expect(readdirSync(folder).sort()).toEqual(files);
  expect(readFileSync(join(folder, "model.safetensors"))).toEqual(before);
});

test("a save of a run adds a fourth file, and a model that is saved without its run removes it", () => {
  const folder = temporaryFolder();
  const checkpoint = checkpointOf("abc", 4);
  saveCheckpoint(folder, checkpoint);
  expect(readdirSync(folder).sort()).toEqual([...files, "training.safetensors"]);
  expect(loadModel(folder).values).toEqual(Float32Array.from(checkpoint.values));
  expect(loadCheckpoint(folder)).toEqual({ ...checkpoint, tokenizer: expect.anything() });
  saveModel(folder, modelOf("abc", 5));
  expect(readdirSync(folder).sort()).toEqual(files);
  expect(() => loadCheckpoint(folder)).toThrow(/ holds no run to resume: there is no training/);
});

test("a crash between the files of a save leaves the new run, beside the whole model before it", () => {
  const folder = temporaryFolder();
  saveCheckpoint(folder, checkpointOf("abc", 4));
  // a folder in the place of the second file: its rename fails, as if nothing had come after the first
  const [weights, aside] = ["model.safetensors", "aside"].map((name) => join(folder, name));
  renameSync(weights, aside);
  mkdirSync(join(weights, "x"), { recursive: true });
  expect(() => saveCheckpoint(folder, checkpointOf("abcd", 5))).toThrow(/^No model can be saved/);
  rmSync(weights, { recursive: true });
  renameSync(aside, weights);
  expect(loadCheckpoint(folder)).toMatchObject({ step: 5, tokens: 35 });
  expect(loadModel(folder).step).toBe(4);
});

test("where the run cannot be written, the model is saved, and that is told", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "training.safetensors", "x"), { recursive: true });
  expect(() => saveCheckpoint(folder, checkpointOf("abc", 4))).toThrow(
    /^The model of step 4 is saved in .*, but not the run, to be resumed from there: .*\.$/,
  );
  expect(loadModel(folder).step).toBe(4);
  const broken = checkpointOf("abc", 5);
  broken.v[0] = Infinity;
  expect(() => saveCheckpoint(folder, broken)).toThrow(/The run has Infinity in v\.wte/);
});

test("a file that cannot be read is named", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "model.safetensors"));
  expect(() => loadModel(folder)).toThrow(/model\.safetensors cannot be read: it is a folder/);
});

test("kill -9 at any moment of saving leaves a whole run and a whole model, twenty times of twenty", async () => {
  const base = temporaryFolder();
  const folder = join(base, "model");
  const sources = ["odd", "even"].map((name) => join(base, name));
  const url = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
  // Saves models of two different vocabularies in turn, so that a mixture would not load.
  const script = `
    import { loadCheckpoint, saveCheckpoint } from ${url("src/files/model_dir.node.ts")};
    const models = ${JSON.stringify(sources)}.map(loadCheckpoint);
    for (let step = Number(process.argv[1]) + 1; ; step++) {
      saveCheckpoint(${JSON.stringify(folder)}, { ...models[step % 2], step });
      process.stdout.write(".");
    }`;
  const models = [checkpointOf("ab", 0), checkpointOf("abcdefgh", 1)];
  models.forEach((model, i) => saveCheckpoint(sources[i], model));
  saveCheckpoint(folder, models[0]);

  let step = 0;
  for (let kill = 0; kill < 20; kill++) {
    const argv = ["--input-type=module", "-e", script, String(step)];
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data"); // one is saved; the kill comes somewhere in the next ones
    child.stdout.resume();
    await new Promise((resolve) => setTimeout(resolve, 2 * kill));
    child.kill("SIGKILL");
    await once(child, "close");
    const model = loadModel(folder);
    expect(model.step).toBeGreaterThan(step);
    const { tokenizer, values } = models[model.step % 2];
    expect(model.tokenizer.toJSON()).toEqual(tokenizer.toJSON());
    expect(model.values).toEqual(Float32Array.from(values));
    const run = loadCheckpoint(folder);
    expect(run.step - model.step).toBeOneOf([0, 1]); // the run is written first
    expect(run.v).toEqual(models[run.step % 2].v);
    step = run.step;
  }
});
