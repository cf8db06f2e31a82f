// Folders in Hugging Face's layout, written by hand from the golden models: they import, and are those models.

import { describe, expect, test } from "vitest";
import { resolveConfig } from "../../src/config.ts";
import { importHuggingFace } from "../../src/exchange/huggingface/read_folder.ts";
import { ReferenceGpt } from "../../src/reference/gpt.ts";
import { CpuOptimizer } from "../../src/training/cpu_optimizer.ts";
import { error, flatten, modern } from "../harness/modern.ts";
import { type Files, folderOf, textOf } from "./folders.ts";

/** A file of safetensors by the description of the format, written without the module under test. */
function safetensors(
  tensors: [name: string, shape: readonly number[], values: readonly number[]][],
) {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const [name, shape, values] of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, (end += 4 * values.length)] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + end);
  const view = new DataView(file.buffer);
  view.setUint32(0, json.length, true);
  file.set(json, 8);
  let at = 8 + json.length;
  for (const [, , values] of tensors) {
    for (const value of values) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  }
  return file;
}

/** Names of a layer's parameters there and here. */
const inLayers = {
  "input_layernorm.weight": "attn_norm",
  "self_attn.q_proj.weight": "attn_wq",
  "self_attn.k_proj.weight": "attn_wk",
  "self_attn.v_proj.weight": "attn_wv",
  "self_attn.q_norm.weight": "q_norm",
  "self_attn.k_norm.weight": "k_norm",
  "self_attn.o_proj.weight": "attn_wo",
  "post_attention_layernorm.weight": "mlp_norm",
  "mlp.gate_proj.weight": "mlp_gate",
  "mlp.up_proj.weight": "mlp_fc1",
  "mlp.down_proj.weight": "mlp_fc2",
};

const golden = modern.filter(({ name }) => /^(llama|qwen3)/.test(name));

/** The golden model as a folder that somebody else might have written. */
function handWritten({ trace, name }: (typeof golden)[number]): Files {
  const { config, vocab_size } = trace;
  const named = trace.parameters as unknown as Record<
    string,
    { shape: number[]; values: number[] }
  >;
  const names: [string, string][] = [
    ["lm_head.weight", "lm_head"],
    ["model.norm.weight", "final_norm"],
    ["model.embed_tokens.weight", "wte"],
    ...Array.from({ length: config.n_layer }, (_, l) =>
      Object.entries(inLayers).map(([theirs, ours]): [string, string] => [
        `model.layers.${l}.${theirs}`,
        `layer${l}.${ours}`,
      ]),
    ).flat(),
  ];
  const tensors = names.flatMap(([theirs, ours]) => {
    const found = named[ours];
    return found ? [[theirs, found.shape, found.values] as [string, number[], number[]]] : [];
  });
  expect(tensors).toHaveLength(Object.keys(named).length);
  const kind = name.slice(0, name.indexOf(":"));
  const json = {
    model_type: kind,
    vocab_size,
    hidden_size: config.n_embd,
    intermediate_size: config.mlp_hidden,
    num_hidden_layers: config.n_layer,
    num_attention_heads: config.n_head,
    num_key_value_heads: config.n_kv_head,
    ...(kind === "qwen3" && { head_dim: config.head_dim }),
    max_position_embeddings: config.block_size,
    rms_norm_eps: config.rmsnorm_eps,
    rope_theta: config.rope_theta,
    tie_word_embeddings: config.tie_embeddings,
    hidden_act: "silu",
  };
  const vocab = Object.fromEntries([..."abcdefghij"].map((char, i) => [char, i]));
  const special = { id: 10, content: "<s>", special: true };
  return new Map([
    ["config.json", textOf(json)],
    ["model.safetensors", safetensors(tensors)],
    [
      "tokenizer.json",
      textOf({ model: { type: "WordLevel", vocab, unk_token: "a" }, added_tokens: [special] }),
    ],
  ]);
}

describe.each(golden)("a folder that is written by hand: $name", (golden) => {
  const { trace, batch, layout } = golden;
  const { model } = importHuggingFace(folderOf(handWritten(golden)));

  test("is of the model's settings", () => {
    const sizes = [
      "n_layer",
      "n_embd",
      "n_head",
      "block_size",
      "rope_theta",
      "rmsnorm_eps",
    ] as const;
    for (const name of sizes)
      expect([name, model.config[name]]).toEqual([name, trace.config[name]]);
    expect(model.layout.dims).toEqual(golden.dims);
    expect(model.config).toMatchObject({
      tokenizer: "file",
      format: "lines",
      qk_norm: trace.config.qk_norm,
    });
    expect(model.tokenizer.bos).toBe(10);
  });

  test("has the oracle's logits and loss", () => {
    const gpt = new ReferenceGpt(model.config, model.layout.dims, Float64Array.from(model.values));
    const logits = gpt.forward(batch).slice(0, trace.logits_first_row.length);
    const differences = logits.map((x, i) => Math.abs(x - trace.logits_first_row[i]));
    expect(Math.max(...differences)).toBeLessThan(1e-5);
    expect(Math.abs(gpt.loss(batch) - trace.loss)).toBeLessThan(1e-5);
  });

  test("trains to the oracle's losses", () => {
    const rates = [
      "optimizer",
      "learning_rate",
      "lr_schedule",
      "beta1",
      "beta2",
      "epsilon",
    ] as const;
    const asked = Object.fromEntries(
      [...rates, "weight_decay"].map((name) => [name, golden.config[name as "beta1"]]),
    );
    const config = resolveConfig("microgpt", { ...model.config, warmup_steps: 0, ...asked });
    const gpt = new ReferenceGpt(config, model.layout.dims, Float64Array.from(model.values));
    const optimizer = new CpuOptimizer(config, model.layout);
    const losses = trace.losses.map((_, step) => {
      gpt.forward(batch);
      const loss = gpt.loss(batch);
      gpt.backward(batch);
      for (const _part of optimizer.update(gpt.params, gpt.grads, step, 1));
      return loss;
    });
    expect(error(losses, trace.losses)).toBeLessThan(1e-5);
    expect(error(gpt.params, flatten(layout, trace.final))).toBeLessThan(1e-4);
  });
});
