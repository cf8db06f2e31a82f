// Settings to start from, by name: microgpt's own, and models from its size to GPT-2's. One table for every command
// and the page; `bench` measures the same sizes.

import type { Config } from "./config.ts";

/** The final revision of microgpt.py. */
const microgpt: Config = {
  format: "lines",
  val_fraction: 0,
  n_layer: 1,
  n_embd: 16,
  n_head: 4,
  n_kv_head: 0,
  head_dim: 0,
  block_size: 16,
  mlp_hidden: 0,
  activation: "relu",
  position: "learned",
  rope_theta: 10_000,
  qk_norm: false,
  norm_gain: false,
  embedding_norm: true,
  final_norm: false,
  tie_embeddings: false,
  logit_softcap: 0,
  rmsnorm_eps: 1e-5,
  init_std: 0.08,
  zero_init: false,
  dropout: 0,
  dtype: "f32",
  batch_size: 1,
  num_steps: 1000,
  learning_rate: 0.01,
  lr_schedule: "linear",
  beta1: 0.85,
  beta2: 0.99,
  epsilon: 1e-8,
  weight_decay: 0,
  grad_clip: 0,
  seed: 42,
  temperature: 0.5,
  top_k: 0,
  max_tokens: 0,
  num_samples: 20,
  log_every: 100,
  eval_every: 0,
  save_every: 0,
  save_seconds: 60,
};

/** For texts of some 100 KB and more. */
const small: Config = {
  ...microgpt,
  n_layer: 2,
  n_embd: 64,
  block_size: 64,
  batch_size: 8,
  num_steps: 3000,
  learning_rate: 0.003,
  lr_schedule: "cosine",
  beta1: 0.9,
  grad_clip: 1,
  temperature: 0.8,
  num_samples: 5,
};

const medium: Config = {
  ...small,
  n_layer: 4,
  n_embd: 128,
  block_size: 128,
  init_std: 0.02,
  num_steps: 5000,
  learning_rate: 0.002,
};

/** For a megabyte and more, on a GPU. */
const shakespeare: Config = {
  ...medium,
  n_layer: 6,
  n_embd: 384,
  n_head: 6,
  block_size: 256,
  batch_size: 64,
  learning_rate: 0.001,
  weight_decay: 0.1,
};

/** Settings to start from, by their names: for small texts and large ones, the CPU and GPUs. */
export const presets = {
  microgpt,
  /** Its earlier revision. */
  "microgpt-cosine": {
    ...microgpt,
    block_size: 8,
    activation: "relu_squared",
    init_std: 0.02,
    zero_init: true,
    num_steps: 500,
    lr_schedule: "cosine",
    beta1: 0.9,
    beta2: 0.95,
  },
  /** microgpt's model on batches. */
  tiny: { ...microgpt, batch_size: 32, learning_rate: 0.02 },
  small,
  medium,
  shakespeare,
  gpt2: {
    ...shakespeare,
    n_layer: 12,
    n_embd: 768,
    n_head: 12,
    block_size: 1024,
    batch_size: 8,
    num_steps: 100_000,
    learning_rate: 6e-4,
    beta2: 0.95,
  },
} satisfies Record<string, Config>;

export type PresetName = keyof typeof presets;

export function isPreset(name: string): name is PresetName {
  return Object.hasOwn(presets, name);
}

/** For a sentence or a list. */
export const presetNames = Object.keys(presets).join(", ");
