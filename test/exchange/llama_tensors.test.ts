// Llama's and Qwen3's architectures: which model is one, what its parameters are called, and the way back.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../../src/config.ts";
import { llamaShape, settingsOf } from "../../src/exchange/architecture.ts";
import { gatherParameters, llamaTensors } from "../../src/exchange/llama_tensors.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { presets } from "../../src/presets.ts";
import { qwen } from "../harness/shapes.ts";

const small = { ...qwen, n_layer: 2, n_embd: 8, n_head: 4, head_dim: 6, mlp_hidden: 10 } as const;

test("the presets of Llama and Qwen3 are theirs, and microgpt's is neither, for a reason", () => {
  const kinds = Object.entries<Config>(presets).map(([name, config]) => {
    const shape = llamaShape(config);
    return [name, typeof shape === "string" ? shape : shape.architecture];
  });
  const neither = "activation is relu, and Llama and Qwen3 have swiglu";
  expect(Object.fromEntries(kinds)).toMatchObject({
    microgpt: neither,
    "llama-15m": "llama",
    "qwen3-15m": "qwen3",
    "size-small": "qwen3",
    "nanochat-d6": "activation is relu_squared, and Llama and Qwen3 have swiglu",
  });
  const odd = resolveConfig("llama-15m", { n_embd: 10, n_head: 4, head_dim: 4 });
  expect(llamaShape(odd)).toMatch("n_embd is 10 and n_head 4");
});

const configs = [
  presets["llama-15m"],
  presets["qwen3-15m"],
  presets["size-medium"],
  resolveConfig("microgpt", small),
  resolveConfig("microgpt", { ...small, qk_norm: false, tie_embeddings: false, n_kv_head: 0 }),
];

test.each(configs)("a shape gives the settings that gave it: $n_embd channels", (config) => {
  const shape = llamaShape(config);
  if (typeof shape === "string") throw new Error(shape);
  const again = resolveConfig("microgpt", settingsOf(shape));
  expect(llamaShape(again)).toEqual(shape);
  expect(dimsOf(again, 30)).toEqual(dimsOf(config, 30));
  const { n_kv_head, head_dim, mlp_hidden } = config;
  const sizes = [n_kv_head, head_dim, mlp_hidden].filter((size, i) => {
    const { NKV, HS, H } = dimsOf({ ...config, n_kv_head: 0, head_dim: 0, mlp_hidden: 0 }, 30);
    return size !== [NKV, HS, H][i];
  });
  expect([again.n_kv_head, again.head_dim, again.mlp_hidden].filter((size) => size > 0)).toEqual(
    sizes.filter((size) => size > 0),
  );
});

test("the parameters have the names and shapes of a Qwen3ForCausalLM", () => {
  const layout = new ParameterLayout(dimsOf(resolveConfig("microgpt", small), 11));
  const table = llamaTensors(layout).map(({ name, slice }) => [name, slice.shape]);
  const layer = (n: number) => [
    [`model.layers.${n}.input_layernorm.weight`, [8]],
    [`model.layers.${n}.self_attn.q_proj.weight`, [24, 8]],
    [`model.layers.${n}.self_attn.k_proj.weight`, [12, 8]],
    [`model.layers.${n}.self_attn.v_proj.weight`, [12, 8]],
    [`model.layers.${n}.self_attn.q_norm.weight`, [6]],
    [`model.layers.${n}.self_attn.k_norm.weight`, [6]],
    [`model.layers.${n}.self_attn.o_proj.weight`, [8, 24]],
    [`model.layers.${n}.post_attention_layernorm.weight`, [8]],
    [`model.layers.${n}.mlp.gate_proj.weight`, [10, 8]],
    [`model.layers.${n}.mlp.up_proj.weight`, [10, 8]],
    [`model.layers.${n}.mlp.down_proj.weight`, [8, 10]],
  ];
  const norm = ["model.norm.weight", [8]];
  expect(table).toEqual([["model.embed_tokens.weight", [11, 8]], ...layer(0), ...layer(1), norm]);
});

test("parameters are gathered from tensors in any order, and from no others", () => {
  const layout = new ParameterLayout(dimsOf(resolveConfig("microgpt", small), 11));
  const values = Float32Array.from({ length: layout.size }, (_, i) => i);
  const wanted = llamaTensors(layout);
  const tensors = new Map(
    wanted.toReversed().map(({ name, slice: { shape, offset, size } }) => {
      return [name, { shape, values: values.slice(offset, offset + size) }];
    }),
  );
  const gather = (some: typeof tensors) =>
    gatherParameters(layout, some, wanted, "the file", ({ values }, into) => into.set(values));
  expect(gather(tensors)).toEqual(values);

  const name = "model.layers.1.self_attn.k_proj.weight";
  const without = new Map([...tensors].filter(([other]) => other !== name));
  expect(() => gather(without)).toThrow(`lacks the tensor ${name}`);
  const bias = { shape: [24], values: new Float32Array(24) } as const;
  const more = new Map([...tensors, ["model.layers.0.self_attn.q_proj.bias", bias]]);
  expect(() => gather(more)).toThrow(`"model.layers.0.self_attn.q_proj.bias"`);
  const turned = { shape: [8, 12], values: new Float32Array(96) } as const;
  expect(() => gather(new Map([...tensors, [name, turned]]))).toThrow(
    `${name} of shape (8, 12), not (12, 8)`,
  );
});
