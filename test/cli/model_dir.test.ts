// A model folder on disk: what it holds after a save, a failed save, and a killed one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadModel, prepareFolder, saveModel } from "../../cli/model_dir.ts";
import { resolveConfig } from "../../src/config.ts";
import { ModelFileError } from "../../src/errors.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { CharTokenizer } from "../../src/text/tokenizer.ts";
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

test("a folder is made, with its parents, and holds three files after a save", () => {
  const folder = join(temporaryFolder(), "a", "b");
  prepareFolder(folder);
  expect(readdirSync(folder)).toEqual([]);
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

test("a file that cannot be read is named", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "model.safetensors"));
  expect(() => loadModel(folder)).toThrow(/model\.safetensors cannot be read: it is a folder/);
});

test("temporary files of processes that are gone are removed, those of living ones are not", () => {
  const folder = temporaryFolder();
  const gone = [".model.safetensors.999999999.tmp", `.config.json.${process.pid}.tmp`];
  // 1 lives, and in most places belongs to someone else
  const others = [".model.safetensors.1.tmp", "mine.tmp", ".hidden"];
  for (const name of [...gone, ...others]) writeFileSync(join(folder, name), "");
  prepareFolder(folder);
  expect(readdirSync(folder).sort()).toEqual(others.sort());
});

test("kill -9 at any moment of saving leaves a whole model, twenty times of twenty", async () => {
  const base = temporaryFolder();
  const folder = join(base, "model");
  const sources = ["odd", "even"].map((name) => join(base, name));
  const url = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
  // Saves models of two different vocabularies in turn, so that a mixture would not load.
  const script = `
    import { loadModel, saveModel } from ${url("cli/model_dir.ts")};
    const models = ${JSON.stringify(sources)}.map(loadModel);
    for (let step = Number(process.argv[1]) + 1; ; step++) {
      saveModel(${JSON.stringify(folder)}, { ...models[step % 2], step });
      process.stdout.write(".");
    }`;
  const models = [modelOf("ab", 0), modelOf("abcdefgh", 1)];
  for (const path of [...sources, folder]) prepareFolder(path);
  models.forEach((model, i) => saveModel(sources[i], model));
  saveModel(folder, models[0]);

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
    step = model.step;
  }
  prepareFolder(folder);
  expect(readdirSync(folder).sort()).toEqual(files);
});
