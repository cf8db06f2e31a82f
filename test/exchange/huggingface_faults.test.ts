// Hugging Face's folders that we have no place for, or that are not what they should be: each is refused in a sentence.

import { describe, expect, test } from "vitest";
import { ModelFileError } from "../../src/errors.ts";
import { importHuggingFace } from "../../src/exchange/huggingface/read_folder.ts";
import { exportHuggingFace } from "../../src/exchange/huggingface/write_folder.ts";
import { fromFloats } from "../../src/files/floats.ts";
import type { Model } from "../../src/files/model_files.ts";
import {
  type Files,
  filesOf,
  folderOf,
  jsonOf,
  modelOf,
  shapes,
  textOf,
  withJson,
} from "./folders.ts";

const exported = (model: Model, shard?: number) =>
  filesOf(exportHuggingFace(model, { half: false }, shard));
const imported = (files: Files) => importHuggingFace(folderOf(files));
const model = modelOf(shapes.llama);
const files = exported(model);

describe("settings", () => {
  const plain = withJson(files, "config.json", { microgpt: undefined });

  test.each([
    [{ model_type: "mistral" }, 'is of a model of the type "mistral"; only llama and qwen3'],
    [{ model_type: undefined }, 'of the type "LlamaForCausalLM"'],
    [{ model_type: undefined, architectures: undefined }, "has no model_type"],
    [
      { attention_bias: true },
      "has the attention_bias true; only models whose attention_bias is false",
    ],
    [{ mlp_bias: true }, "has the mlp_bias true"],
    [{ hidden_act: "gelu" }, 'has the hidden_act "gelu"; only models whose hidden_act is silu'],
    [
      { quantization_config: { quant_method: "gptq", bits: 4 } },
      'quantization_config {"quant_method":"gptq"',
    ],
    [
      { rope_scaling: { rope_type: "llama3", factor: 32 } },
      'the rope_scaling {"rope_type":"llama3"',
    ],
    [{ rope_scaling: { type: "linear", factor: 2 } }, "only rope without scaling can be imported"],
    [
      { rope_parameters: { rope_type: "yarn", rope_theta: 1e4 } },
      'the rope_parameters {"rope_type":"yarn"',
    ],
    [{ rope_parameters: { rope_theta: 3 } }, "says both that rope_theta is 3 and that it is 10000"],
    [{ partial_rotary_factor: 0.5 }, "has the partial_rotary_factor 0.5"],
    [{ use_sliding_window: true, sliding_window: 4 }, "has a sliding_window of 4 positions of 6"],
    [
      { layer_types: ["full_attention", "sliding_attention"] },
      '"sliding_attention" among its layer_types',
    ],
    [{ hidden_size: 0 }, "has the hidden_size 0; a whole number from 1 is needed"],
    [{ num_hidden_layers: 1e9 }, "cannot be had here: n_layer is 1000000000"],
    [{ num_hidden_layers: 2 ** 24 }, "says that there are 16777216 layers, and there are"],
    [{ num_attention_heads: 3 }, "n_head 3 cannot share n_kv_head 4"],
    [{ num_key_value_heads: 3 }, "n_kv_head"],
    [{ head_dim: 2.5 }, "has the head_dim 2.5"],
    [{ head_dim: 3 }, "head_dim is 3"],
    [{ rms_norm_eps: "1e-5" }, 'has the rms_norm_eps "1e-5"; a number is needed'],
    [{ tie_word_embeddings: "yes" }, 'has the tie_word_embeddings "yes"; true or false'],
    [{ vocab_size: 2 ** 40 }, "a model of 1,099,511,627,776 tokens"],
    [{ intermediate_size: 13 }, "mlp.gate_proj.weight of shape (12, 8), not (13, 8)"],
    [{ tie_word_embeddings: true }, "another lm_head.weight"],
    [{ num_hidden_layers: 1 }, 'has the tensor "model.layers.1.input_layernorm.weight"'],
  ])("%j is refused in a sentence", (changes, words) => {
    const all = withJson(plain, "config.json", changes);
    expect(() => imported(all)).toThrow(ModelFileError);
    expect(() => imported(all)).toThrow(words);
    expect(() => imported(all)).toThrow(/^FOLDER\S* .*\.$/);
  });
});

describe("files that are not what they should be", () => {
  const shards = exported(model, 1000);
  const [first, second] = [...shards.keys()];
  const index = "model.safetensors.index.json";
  const map = jsonOf(shards, index).weight_map;
  const without = (files: Files, ...names: string[]): Files =>
    new Map([...files].filter(([name]) => !names.includes(name)));
  const withMap = (changes: object) =>
    withJson(shards, index, { weight_map: { ...map, ...changes } });

  test.each<[string, Files, string]>([
    [
      "no settings",
      without(files, "config.json"),
      "FOLDER has no config.json, which should say what the model is",
    ],
    [
      "no tokenizer",
      without(files, "tokenizer.json"),
      "FOLDER has no tokenizer.json, which should hold its tokens",
    ],
    [
      "a tokenizer of another format",
      new Map([...without(files, "tokenizer.json"), ["tokenizer.model", new Uint8Array(3)]]),
      "tokenizer.model is of a format that is not read here",
    ],
    [
      "a tokenizer of another format, in two files",
      new Map([...without(files, "tokenizer.json"), ["vocab.json", new Uint8Array(3)]]),
      "vocab.json is of a format that is not read here",
    ],
    ["no weights", without(files, "model.safetensors"), "FOLDER has no model.safetensors"],
    [
      "pickled weights",
      new Map([...without(files, "model.safetensors"), ["pytorch_model.bin", new Uint8Array(3)]]),
      "FOLDER has its weights in pytorch_model.bin and has no model.safetensors; only safetensors are read",
    ],
    ["a shard less", without(shards, second), `FOLDER has no ${second}`],
    [
      "a way out of the folder",
      withMap({ x: "../secret.safetensors" }),
      'names "../secret.safetensors" as the file of "x"',
    ],
    ["no file's name", withMap({ x: 3 }), 'names 3 as the file of "x"'],
    [
      "a tensor that is not there",
      withMap({ x: first }),
      `says that "x" is in ${first}, and it is not`,
    ],
    ["an empty index", withJson(shards, index, { weight_map: {} }), "has the weight_map {}"],
    ["no map", withJson(shards, index, { weight_map: null }), "has the weight_map null"],
    [
      "a tensor twice",
      new Map([...shards, [second, shards.get(first)!]]),
      'has the tensor "model.embed_tokens.weight", which FOLDER/model-00001',
    ],
    [
      "JSON that ends early",
      new Map([...files, ["config.json", files.get("config.json")!.slice(0, 99)]]),
      "is not usable JSON",
    ],
    [
      "a key twice",
      new Map([...files, ["config.json", new TextEncoder().encode(`{"a":1,"a":2}`)]]),
      'the key "a" is there twice',
    ],
    [
      "no object",
      new Map([...files, ["config.json", textOf([])]]),
      "FOLDER/config.json holds no object",
    ],
  ])("%s", (_, wrong, words) => {
    expect(() => imported(wrong)).toThrow(ModelFileError);
    expect(() => imported(wrong)).toThrow(words);
  });

  test("a weight that is no number", () => {
    const bytes = files.get("model.safetensors")!.slice();
    bytes.set(fromFloats([NaN], "F32"), bytes.length - 4);
    const wrong = new Map([...files, ["model.safetensors", bytes]]);
    expect(() => imported(wrong)).toThrow(
      /has NaN in model\.norm\.weight .* finite\. Get the file again, or import another model\.$/,
    );
  });
});
