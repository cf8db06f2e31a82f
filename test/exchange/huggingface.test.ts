// Hugging Face's folders: what is exported is what is imported, and so is what others write in ways of their own.

import { describe, expect, test } from "vitest";
import type { Config } from "../../src/config.ts";
import { importHuggingFace } from "../../src/exchange/huggingface/read_folder.ts";
import { exportHuggingFace } from "../../src/exchange/huggingface/write_folder.ts";
import { fromFloats } from "../../src/files/floats.ts";
import { encodeModel, type Model } from "../../src/files/model_files.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/files/safetensors.ts";
import { error } from "../harness/modern.ts";
import {
  bpe,
  chars,
  chat,
  type Files,
  filesOf,
  folderOf,
  jsonOf,
  modelOf,
  shapes,
  withJson,
  words,
} from "./folders.ts";

const exported = (model: Model, half = false, shard?: number) =>
  filesOf(exportHuggingFace(model, { half }, shard));
const imported = (files: Files) => importHuggingFace(folderOf(files));
const bytesOf = (model: Model) => encodeModel(model).map(({ name, bytes }) => ({ name, bytes }));

describe("export, then import, is the same model, bit for bit, in every file", () => {
  test.each(Object.entries(shapes))("%s", (_, settings: Partial<Config>) => {
    const model = modelOf({ learning_rate: 0.5, temperature: 0.3, seed: 5, ...settings });
    const { model: back, notes } = imported(exported(model));
    expect(notes).toEqual([]);
    expect(bytesOf(back)).toEqual(bytesOf(model));
    expect(Object.is(back.values[1], -0)).toBe(true);
  });

  const tokenizers = {
    characters: [chars, {}],
    "characters of conversations": [chars.withSpecial(chat), { format: "chat" }],
    words: [words, { format: "text" }],
    "words of conversations": [words.withSpecial(chat), { format: "chat" }],
    bpe: [bpe, {}],
    "bpe of conversations": [bpe.withSpecial(chat.slice(0, 3)), { format: "chat" }],
  } as const;
  test.each(Object.entries(tokenizers))("%s", (_, [tokenizer, settings]) => {
    const model = modelOf({ ...shapes.qwen3, ...settings }, tokenizer);
    expect(bytesOf(imported(exported(model)).model)).toEqual(bytesOf(model));
  });

  test("in several files of weights", () => {
    const model = modelOf(shapes.llama);
    const files = exported(model, false, 1000);
    const { weight_map, metadata } = jsonOf(files, "model.safetensors.index.json");
    const shards = [...files.keys()].filter((name) => /^model-\d{5}-of-\d{5}\./.test(name));
    expect(shards.length).toBeGreaterThan(3);
    expect(shards[0]).toBe(`model-00001-of-0000${shards.length}.safetensors`);
    expect(files.has("model.safetensors")).toBe(false);
    expect(new Set(Object.values(weight_map))).toEqual(new Set(shards));
    expect(metadata.total_size).toBe(4 * model.values.length);
    for (const name of shards) {
      const { tensors } = decodeSafetensors(files.get(name)!, name);
      const size = tensors.reduce((sum, { data }) => sum + data.length, 0);
      expect(tensors.length === 1 || size <= 1000).toBe(true);
    }
    expect(bytesOf(imported(files).model)).toEqual(bytesOf(model));
  });
});

describe("what else a folder may have", () => {
  const model = modelOf(shapes.llama);
  const files = exported(model);
  const plain = withJson(files, "config.json", { microgpt: undefined });
  const { tensors } = decodeSafetensors(files.get("model.safetensors")!, "");
  const stored = tensors.map(({ name, shape, data }) => {
    return { name, shape, values: new Float32Array(data.slice().buffer) };
  });

  test.each(["F16", "BF16"] as const)("weights in %s", (dtype) => {
    const bytes = encodeSafetensors(stored.map((tensor) => ({ ...tensor, dtype })));
    const back = imported(new Map([...files, ["model.safetensors", bytes]]));
    const rounded = fromFloats(model.values, dtype);
    expect(fromFloats(back.model.values, dtype)).toEqual(rounded);
    expect(error(back.model.values, model.values)).toBeLessThan(dtype === "F16" ? 1e-3 : 1e-2);
    expect(back.model.values.filter((x, i) => x === model.values[i]).length).toBeLessThan(100);
  });

  test("--half writes f16, which import reads", () => {
    const half = exported(model, true);
    expect(jsonOf(half, "config.json").torch_dtype).toBe("float16");
    const back = imported(half).model;
    expect(fromFloats(back.values, "F16")).toEqual(fromFloats(model.values, "F16"));
    const huge = { ...model, values: model.values.with(5, 70_000) };
    expect(() => exported(huge, true)).toThrow(
      /^model\.embed_tokens\.weight has a weight of 70000, and half precision ends at 65504/,
    );
    expect(exported(huge).size).toBe(files.size);
  });

  test("fields as older and newer versions of transformers write them", () => {
    const ways = [
      { rope_theta: 5000, rope_parameters: undefined },
      { rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta: 5000 } },
      { rope_theta: 5000, rope_parameters: null, rope_scaling: { type: "default" } },
    ];
    for (const way of ways) {
      const { config } = imported(withJson(plain, "config.json", way)).model;
      expect(config.rope_theta).toBe(5000);
    }
    const least = {
      rope_theta: undefined,
      rope_parameters: undefined,
      rms_norm_eps: undefined,
      num_key_value_heads: undefined,
      head_dim: undefined,
      attention_bias: undefined,
      tie_word_embeddings: undefined,
      sliding_window: 2,
      use_sliding_window: false,
    };
    const { config } = imported(withJson(plain, "config.json", least)).model;
    expect([config.rope_theta, config.rmsnorm_eps, config.n_kv_head, config.head_dim]).toEqual([
      10_000, 1e-6, 0, 0,
    ]);
  });

  test("settings of ours that other programs kept: those of the shape are the fields'", () => {
    const shorter = withJson(files, "config.json", {
      max_position_embeddings: 4,
      rope_theta: 7,
      rope_parameters: null,
    });
    const { config, step } = imported(shorter).model;
    expect(config).toEqual({ ...model.config, block_size: 4, rope_theta: 7 });
    expect(step).toBe(7);
    const own = { ...jsonOf(files, "config.json").microgpt, learning_rate: -1 };
    expect(() => imported(withJson(files, "config.json", { microgpt: own }))).toThrow(
      /the microgpt in FOLDER\/config\.json has a setting that cannot be: learning_rate is -1/,
    );
  });

  test("settings of adapters, which a whole model has none of", () => {
    const own = { ...jsonOf(files, "config.json").microgpt, lora_rank: 1 };
    const { config, values } = imported(withJson(files, "config.json", { microgpt: own })).model;
    expect(config).toEqual(model.config);
    expect(values).toEqual(model.values);
  });

  test("an embedding with more rows than the tokenizer has tokens", () => {
    const padded = stored.map((tensor) => {
      const [rows, columns] = tensor.shape;
      if (!/embed_tokens|lm_head/.test(tensor.name)) return tensor;
      const values = new Float32Array((rows + 3) * columns);
      values.set(tensor.values);
      return { ...tensor, shape: [rows + 3, columns], values };
    });
    const { vocab_size } = model.tokenizer;
    const more = withJson(plain, "config.json", { vocab_size: vocab_size + 3 });
    const all = new Map([...more, ["model.safetensors", encodeSafetensors(padded)]]);
    const { model: back, notes } = imported(all);
    expect(notes).toEqual([expect.stringMatching(/has 3 rows more than its tokenizer has tokens/)]);
    expect(back.tokenizer.vocab_size).toBe(vocab_size + 3);
    expect(back.tokenizer.bytes(vocab_size + 2)).toHaveLength(0);
    expect(back.tokenizer.encode("bob 9")).toEqual(model.tokenizer.encode("bob 9"));
    expect(bytesOf(imported(exported(back)).model)).toEqual(bytesOf(back));
    const fewer = withJson(plain, "config.json", { vocab_size: vocab_size - 1 });
    expect(() => imported(fewer)).toThrow(/a model of 10 tokens, and its tokenizer has 11/);
  });

  test("the tied weight twice, and rope's angles", () => {
    const tied = modelOf(shapes.qwen3);
    const own = exported(tied);
    const parts = decodeSafetensors(own.get("model.safetensors")!, "").tensors.map((tensor) => ({
      ...tensor,
      values: new Float32Array(tensor.data.slice().buffer),
    }));
    const head = { ...parts[0], name: "lm_head.weight" };
    const angles = {
      name: "model.layers.0.self_attn.rotary_emb.inv_freq",
      shape: [2],
      values: [1, 2],
    };
    const weights = (head: object) =>
      new Map([
        ...own,
        ["model.safetensors", encodeSafetensors([...parts, head as typeof angles, angles])],
      ]);
    expect(bytesOf(imported(weights(head)).model)).toEqual(bytesOf(tied));
    const other = { ...head, values: head.values.with(3, 9) };
    expect(() => imported(weights(other))).toThrow(
      /another lm_head\.weight than model\.embed_tokens/,
    );
  });
});
