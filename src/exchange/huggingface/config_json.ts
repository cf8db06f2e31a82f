// A model's settings as the config.json of a Hugging Face folder. Beside the fields of its architecture, which decide
// what the model is, it has ours whole, under `microgpt`: other programs keep what they do not know.

import type { Config } from "../../config.ts";
import { metadataOf, type Model } from "../../files/model_files.ts";
import { dimsOf, type ParameterLayout } from "../../model/parameters.ts";
import { type Architecture, type LlamaShape, llamaShape } from "../architecture.ts";
import type { LlamaTensor } from "../llama_tensors.ts";
import { endIds } from "./tokenizer_files.ts";

export const CUSTOM = "microgpt";

const classes: Record<Architecture, string> = {
  llama: "LlamaForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/** @param dtype of the weights: float32, float16 */
export function llamaConfigJson(model: Model, shape: LlamaShape, dtype: string): object {
  const { architecture, rope_theta } = shape;
  const isQwen = architecture === "qwen3";
  return {
    architectures: [classes[architecture]],
    model_type: architecture,
    ...commonFields(model, dtype),
    head_dim: shape.head_dim,
    hidden_act: "silu",
    rms_norm_eps: shape.rmsnorm_eps,
    rope_theta,
    rope_scaling: null,
    rope_parameters: { rope_type: "default", rope_theta },
    attention_bias: false,
    attention_dropout: 0,
    ...(isQwen ? { use_sliding_window: false, sliding_window: null } : { mlp_bias: false }),
    tie_word_embeddings: shape.tie_embeddings,
    use_cache: true,
    [CUSTOM]: ownSettings(model),
  };
}

/** Settings of ours that modeling_microgpt.py reads. */
const read = [
  "activation",
  "position",
  "rope_theta",
  "qk_norm",
  "norm_gain",
  "embedding_norm",
  "final_norm",
  "tie_embeddings",
  "logit_softcap",
  "rmsnorm_eps",
] as const satisfies readonly (keyof Config)[];

/** The config.json of a shape that transformers has no class for, which brings its own. */
export function customConfigJson(model: Model, dtype: string): object {
  return {
    architectures: ["MicrogptForCausalLM"],
    auto_map: {
      AutoConfig: "configuration_microgpt.MicrogptConfig",
      AutoModelForCausalLM: "modeling_microgpt.MicrogptForCausalLM",
    },
    model_type: CUSTOM,
    ...commonFields(model, dtype),
    head_dim: dimsOf(model.config, 1).HS,
    ...Object.fromEntries(read.map((name) => [name, model.config[name]])),
    // The class ties by itself.
    tie_word_embeddings: false,
    use_cache: false,
    [CUSTOM]: ownSettings(model),
  };
}

/** What modeling_microgpt.py calls our parameters. */
export function customTensors(layout: ParameterLayout): LlamaTensor[] {
  return layout.slices.map((slice) => ({
    name: `${slice.name.replace(/^layer(\d+)/, "layers.$1")}.weight`,
    slice,
  }));
}

function commonFields(model: Model, dtype: string): object {
  const { config, tokenizer } = model;
  const { C, L, NH, NKV, H, T } = dimsOf(config, tokenizer.vocab_size);
  return {
    vocab_size: tokenizer.vocab_size,
    hidden_size: C,
    intermediate_size: H,
    num_hidden_layers: L,
    num_attention_heads: NH,
    num_key_value_heads: NKV,
    max_position_embeddings: T,
    initializer_range: Math.min(config.init_std, 1),
    bos_token_id: tokenizer.bos,
    eos_token_id: endIds(model).at(-1)!,
    torch_dtype: dtype,
  };
}

function ownSettings(model: Model): unknown {
  return JSON.parse(metadataOf(model).config);
}

/** How transformers' generate() samples, and what ends a text. */
export function generationJson(model: Model): object {
  const { temperature, top_k, top_p, min_p, repetition_penalty, max_tokens, block_size } =
    model.config;
  const ends = endIds(model);
  return {
    bos_token_id: model.tokenizer.bos,
    eos_token_id: ends.length === 1 ? ends[0] : ends,
    pad_token_id: model.tokenizer.bos,
    do_sample: temperature > 0,
    ...(temperature > 0 && {
      temperature,
      top_k,
      top_p,
      ...(min_p > 0 && { min_p }),
    }),
    repetition_penalty,
    ...(typeof llamaShape(model.config) === "string" && { use_cache: false }),
    max_length: block_size,
    ...(max_tokens > 0 && { max_new_tokens: max_tokens }),
  };
}
