// Models to files and back, and the sentence for files that hold no model or do not belong together.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { settings } from "../src/config/settings.ts";
import { ModelFileError } from "../src/errors.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import {
  CONFIG_FILE,
  decodeModel,
  encodeModel,
  FORMAT_VERSION,
  type Model,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from "../src/files/model_files.ts";
import { decodeSafetensors, encodeSafetensors, type Tensor } from "../src/files/safetensors.ts";

function modelOf(overrides: Partial<Config> = {}, text = "abé😀"): Model {
  const config = resolveConfig("microgpt", { n_layer: 2, n_embd: 8, n_head: 2, ...overrides });
  const tokenizer = CharTokenizer.fromDocuments([text]);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const values = initialParameters(config, dims, new PythonRandom(1));
  return { config, tokenizer, step: 123, layout: new ParameterLayout(dims), values };
}

type Folder = Map<string, Uint8Array>;

function folderOf(model: Model): Folder {
  return new Map(encodeModel(model).map(({ name, bytes }) => [name, bytes]));
}

const load = (folder: Folder) => decodeModel((name) => folder.get(name), "output");
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

/** The tensors of a folder, to be written again with something changed. */
function tensorsOf(folder: Folder): Tensor[] {
  const { tensors } = decodeSafetensors(folder.get(WEIGHTS_FILE)!, "");
  return tensors.map(({ name, shape, data }) => ({
    name,
    shape,
    values: new Float32Array(data.slice().buffer),
  }));
}

/** The folder without metadata in the weights, so that config.json and tokenizer.json count. */
function withoutMetadata(folder: Folder): Folder {
  return folder.set(WEIGHTS_FILE, encodeSafetensors(tensorsOf(folder)));
}

test("a model comes back as it was, its weights rounded to float32", () => {
  const model = modelOf();
  const back = load(folderOf(model));
  expect(back.config).toEqual(model.config);
  expect(back.step).toBe(123);
  expect(back.tokenizer.toJSON()).toEqual(model.tokenizer.toJSON());
  expect(back.layout.slices).toEqual(model.layout.slices);
  expect(back.values).toEqual(Float32Array.from(model.values));
});

test("a model that came back is written as the same bytes", () => {
  const folder = folderOf(modelOf());
  expect(folderOf(load(folder))).toEqual(folder);
});

test("weights with gaps between the tensors, as a GPU lays them out, are the same files", () => {
  const model = modelOf();
  const layout = new ParameterLayout(model.layout.dims, 64);
  const values = model.layout.convert(model.values, layout, new Float32Array(layout.size));
  expect(folderOf({ ...model, layout, values })).toEqual(folderOf(model));
});

test("the tensors of the file are those of the table, in its order", () => {
  const { layout } = modelOf();
  const { tensors } = decodeSafetensors(folderOf(modelOf()).get(WEIGHTS_FILE)!, "");
  expect(tensors.map(({ name, shape }) => ({ name, shape }))).toEqual(
    layout.slices.map(({ name, shape }) => ({ name, shape })),
  );
});

test("config.json and tokenizer.json say for people what the weights' metadata says", () => {
  const folder = folderOf(modelOf());
  const { metadata } = decodeSafetensors(folder.get(WEIGHTS_FILE)!, "");
  expect(metadata.config).toBe(text(folder.get(CONFIG_FILE)!));
  expect(metadata.tokenizer).toBe(text(folder.get(TOKENIZER_FILE)!));
  expect(JSON.parse(metadata.config)).toEqual({
    format_version: FORMAT_VERSION,
    step: 123,
    ...modelOf().config,
    vocab_size: 5,
  });
});

test("model.safetensors alone is a model", () => {
  const folder = folderOf(modelOf());
  const alone = new Map([[WEIGHTS_FILE, folder.get(WEIGHTS_FILE)!]]);
  expect(load(alone)).toEqual(load(folder));
});

test("the new weights beside the old settings, as a kill in between leaves them, are the new model", () => {
  const before = folderOf(modelOf({ n_layer: 1 }, "xyz"));
  const after = folderOf(modelOf());
  expect(load(new Map([...before, [WEIGHTS_FILE, after.get(WEIGHTS_FILE)!]]))).toEqual(load(after));
});

test("a file of an older version has the defaults of the settings that it does not know", () => {
  const folder = withoutMetadata(folderOf(modelOf()));
  const file = JSON.parse(text(folder.get(CONFIG_FILE)!));
  const write = (changes: object) =>
    folder.set(CONFIG_FILE, bytes(JSON.stringify({ ...file, ...changes })));
  const versions = Array.from({ length: FORMAT_VERSION - 1 }, (_, i) => FORMAT_VERSION - i);
  for (const version of versions) {
    const added = settings.filter(({ since }) => since === version);
    for (const { name } of added) delete file[name];
    write({ format_version: version - 1 });
    expect(load(folder).config).toEqual(modelOf().config);
    write({ format_version: version });
    expect(() => load(folder)).toThrow(`output/config.json lacks the setting ${added[0].name}`);
  }
  expect(settings.every(({ since = 1 }) => since <= FORMAT_VERSION)).toBe(true);
});

test("a dtype that was never chosen is no model's", () => {
  const folder = withoutMetadata(folderOf(modelOf()));
  const file = JSON.parse(text(folder.get(CONFIG_FILE)!));
  folder.set(CONFIG_FILE, bytes(JSON.stringify({ ...file, dtype: "auto" })));
  expect(() => load(folder)).toThrow(
    /config\.json has the dtype "auto", which no model is trained/,
  );
});

test("weights without metadata take config.json and tokenizer.json", () => {
  const folder = folderOf(modelOf());
  expect(load(withoutMetadata(new Map(folder)))).toEqual(load(folder));
});

describe("no model is saved with", () => {
  test.each([[Number.NaN], [Infinity], [-Infinity], [1e39]])("the weight %d", (weight) => {
    const model = modelOf();
    model.values[model.layout.slice("layer1.mlp_fc1").offset + 3] = weight;
    expect(() => encodeModel(model)).toThrow(ModelFileError);
    expect(() => encodeModel(model)).toThrow(
      /^The model has .* in layer1\.mlp_fc1 \(element 3\); weights must be finite/,
    );
  });
});

describe("a sentence for", () => {
  /** A change of config.json, or of tokenizer.json, in a folder where they count. */
  const edit = (file: string, change: (text: string) => string) => (folder: Folder) => {
    withoutMetadata(folder).set(file, bytes(change(text(folder.get(file)!))));
  };
  const config = (from: string | RegExp, to: string) =>
    edit(CONFIG_FILE, (text) => {
      expect(text).toMatch(from);
      return text.replace(from, to);
    });
  const tensors = (change: (tensors: Tensor[]) => Tensor[]) => (folder: Folder) => {
    const { metadata } = decodeSafetensors(folder.get(WEIGHTS_FILE)!, "");
    folder.set(WEIGHTS_FILE, encodeSafetensors(change(tensorsOf(folder)), metadata));
  };

  test.each<[string, (folder: Folder) => void, string]>([
    [
      "an empty folder",
      (folder) => folder.clear(),
      "output holds no model: there is no model.safetensors",
    ],
    [
      "no settings at all",
      (folder) => withoutMetadata(folder).delete(CONFIG_FILE),
      "output/config.json is missing, and model.safetensors does not hold it either",
    ],
    [
      "no tokenizer at all",
      (folder) => withoutMetadata(folder).delete(TOKENIZER_FILE),
      "output/tokenizer.json is missing",
    ],
    [
      "damaged weights",
      (folder) => folder.set(WEIGHTS_FILE, new Uint8Array(9)),
      "output/model.safetensors is not",
    ],
    [
      "settings cut short",
      edit(CONFIG_FILE, (text) => text.slice(0, 50)),
      "output/config.json is not usable JSON",
    ],
    [
      "settings that are a list",
      edit(CONFIG_FILE, () => "[]"),
      "output/config.json is not an object",
    ],
    [
      "a newer version",
      config(/"format_version": \d+/, `"format_version": 99`),
      `output/config.json has format version 99, and this program reads up to ${FORMAT_VERSION}; use a newer version`,
    ],
    [
      "no version",
      config(/"format_version": \d+,/, ""),
      `has the format version missing, not ${FORMAT_VERSION}`,
    ],
    [
      "a version that is a text",
      config(/"format_version": \d+/, `"format_version": "4"`),
      `has the format version "4"`,
    ],
    ["a setting that is missing", config(/"seed": \d+,/, ""), "lacks the setting seed"],
    [
      "a setting that is unknown",
      config("{", `{"n_experts": 2,`),
      `has the unknown setting "n_experts"`,
    ],
    ["a setting twice", config("{", `{"seed": 2,`), `the key "seed" is there twice`],
    [
      "a key __proto__",
      config("{", `{"__proto__": {"seed": 1},`),
      `the key "__proto__" is not allowed`,
    ],
    ["a width that is a text", config(/"n_embd": 8/, `"n_embd": "8"`), `n_embd is "8"; it must be`],
    ["a width that is null", config(/"n_embd": 8/, `"n_embd": null`), `n_embd is null; it must be`],
    ["heads that do not share the width", config(/"n_head": 2/, `"n_head": 3`), "cannot be split"],
    ["a number beyond any", config(/"epsilon": [^,]+/, `"epsilon": 1e309`), "epsilon is Infinity"],
    ["a step that is half", config(/"step": 123/, `"step": 0.5`), "has 0.5 as its step"],
    [
      "a vocabulary below nothing",
      config(/"vocab_size": 5/, `"vocab_size": -5`),
      "-5 as its vocab_size",
    ],
    [
      "the tokenizer of another model",
      config(/"vocab_size": 5/, `"vocab_size": 6`),
      "The files in output do not belong together: the settings name a vocabulary of 6 tokens, and the tokenizer has 5",
    ],
    [
      "a tokenizer of another kind",
      edit(TOKENIZER_FILE, () => `{"type": "bpe"}`),
      "output/tokenizer.json: The tokenizer",
    ],
    [
      "a tokenizer that is null",
      edit(TOKENIZER_FILE, () => "null"),
      "output/tokenizer.json: The tokenizer",
    ],
    [
      "a tensor too few",
      tensors((list) => list.slice(1)),
      "has 14 tensors, which no model of n_layer 2 has",
    ],
    [
      "a tensor too many",
      tensors((list) => [...list, { name: "bias", shape: [0], values: [] }]),
      "has 16 tensors, which no model of n_layer 2 has",
    ],
    [
      "a layer count far beyond the file",
      config(/"n_layer": 2/, `"n_layer": 16777216`),
      "has 15 tensors, which no model of n_layer 16777216 has",
    ],
    [
      "a tensor of another name",
      tensors(([first, ...rest]) => [{ ...first, name: "embedding" }, ...rest]),
      "output/model.safetensors lacks the tensor wte",
    ],
    [
      "a tensor of another shape",
      tensors(([first, ...rest]) => [{ ...first, shape: [8, 5] }, ...rest]),
      "has wte of shape (8, 5), not (5, 8)",
    ],
    [
      "a weight that is no number",
      tensors(([first, ...rest]) => [
        { ...first, values: Array.from(first.values, (x, i) => (i === 7 ? Number.NaN : x)) },
        ...rest,
      ]),
      "output/model.safetensors has NaN in wte (element 7)",
    ],
  ])("%s", (_, damage, message) => {
    const folder = folderOf(modelOf());
    damage(folder);
    expect(() => load(folder)).toThrow(ModelFileError);
    expect(() => load(folder)).toThrow(message);
    expect(() => load(folder)).toThrow(/\.$/);
  });

  test("damaged metadata, by the file that holds it", () => {
    const folder = folderOf(modelOf());
    folder.set(WEIGHTS_FILE, encodeSafetensors(tensorsOf(folder), { config: "{" }));
    expect(() => load(folder)).toThrow("the config in output/model.safetensors is not usable JSON");
  });
});
