// Settings to start from, by name: microgpt's own, and models from its size to GPT-2's. One table for every command
// and the page; `bench` measures the same sizes.

import type { Config } from "./config.ts";

/** The final revision of microgpt.py. */
const microgpt: Config = {
  format: "lines",
  field: "",
  separator: "",
  skip_bad_lines: false,
  val_fraction: 0,
  val_split: "end",
  tokenizer: "char",
  vocab_size: 0,
  bpe_pattern: "gpt2",
  loss_on: "assistant",
  skip_long: false,
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
  grad_accumulation: 1,
  recompute: false,
  num_steps: 1000,
  optimizer: "adamw",
  learning_rate: 0.01,
  lr_schedule: "linear",
  warmup_steps: 0,
  final_lr_fraction: 0,
  decay_fraction: 0.2,
  beta1: 0.85,
  beta2: 0.99,
  epsilon: 1e-8,
  muon_lr: 0.02,
  muon_momentum: 0.95,
  sgd_momentum: 0.9,
  weight_decay: 0,
  grad_clip: 0,
  lora_rank: 0,
  lora_alpha: 0,
  lora_targets: "all",
  seed: 42,
  temperature: 0.5,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  max_tokens: 0,
  num_samples: 20,
  sample_every: 0,
  log_every: 100,
  eval_every: 0,
  patience: 0,
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

/** How the newer ones are trained: the one place for rates and schedules. */
const rates = {
  shakespeare: {
    learning_rate: 0.001,
    warmup_steps: 100,
    final_lr_fraction: 0.1,
    beta2: 0.99,
    weight_decay: 0.1,
  },
  gpt2: { learning_rate: 6e-4, beta2: 0.95, weight_decay: 0.1 },
  llama: { learning_rate: 5e-4, warmup_steps: 1000, beta2: 0.95, weight_decay: 0.1 },
  qwen3: { learning_rate: 0.001, warmup_steps: 1000, beta2: 0.95, weight_decay: 0.1 },
  nanochat: {
    optimizer: "muon",
    learning_rate: 0.003,
    lr_schedule: "wsd",
    beta2: 0.95,
    grad_clip: 0,
  },
  tiny: { learning_rate: 0.002, warmup_steps: 100, beta2: 0.99 },
  small: { learning_rate: 0.002, warmup_steps: 100, beta2: 0.99 },
  medium: { learning_rate: 0.001, warmup_steps: 200, beta2: 0.99 },
  large: { learning_rate: 6e-4, warmup_steps: 500, beta2: 0.99 },
} as const satisfies Record<string, Partial<Config>>;

/** nanoGPT's model of characters, without LayerNorm's means and biases. */
const shakespeare: Config = {
  ...medium,
  val_fraction: 0.1,
  n_layer: 6,
  n_embd: 384,
  n_head: 6,
  block_size: 256,
  activation: "gelu",
  norm_gain: true,
  embedding_norm: false,
  final_norm: true,
  tie_embeddings: true,
  dropout: 0.2,
  batch_size: 64,
  eval_every: 250,
  ...rates.shakespeare,
};

/** GPT-2's sizes, in microgpt's architecture. */
const gpt2: Config = {
  ...medium,
  n_layer: 12,
  n_embd: 768,
  n_head: 12,
  block_size: 1024,
  num_steps: 100_000,
  ...rates.gpt2,
};

/** Llama's architecture, in the sizes of the models that were trained on TinyStories. */
const llama: Config = {
  ...medium,
  n_layer: 6,
  n_embd: 288,
  n_head: 6,
  block_size: 256,
  mlp_hidden: 768,
  activation: "swiglu",
  position: "rope",
  norm_gain: true,
  embedding_norm: false,
  final_norm: true,
  tie_embeddings: true,
  batch_size: 32,
  num_steps: 100_000,
  ...rates.llama,
};

/** Qwen3's: Llama's with qk_norm, fewer heads of keys and values, and heads of a size of their own. */
const qwen3: Config = {
  ...llama,
  n_layer: 8,
  n_embd: 256,
  n_head: 8,
  n_kv_head: 4,
  head_dim: 64,
  block_size: 512,
  rope_theta: 1e6,
  qk_norm: true,
  rmsnorm_eps: 1e-6,
  batch_size: 32,
  num_steps: 50_000,
  ...rates.qwen3,
};

/** nanochat's, of the depth that its script for CPUs trains. */
const nanochat: Config = {
  ...medium,
  n_layer: 6,
  n_embd: 384,
  n_head: 6,
  block_size: 512,
  activation: "relu_squared",
  position: "rope",
  qk_norm: true,
  final_norm: true,
  logit_softcap: 15,
  zero_init: true,
  batch_size: 32,
  num_steps: 5000,
  ...rates.nanochat,
};

/** What `--size` stands for: Qwen3's architecture, with rates and batches for texts of so many characters and more. */
const size: Config = { ...qwen3, mlp_hidden: 0 };

/** Settings to start from, by their names: for small texts and large ones, the CPU and GPUs. */
export const presets = {
  microgpt,
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
  tiny: { ...microgpt, batch_size: 32, learning_rate: 0.02 },
  small,
  medium,
  shakespeare,
  gpt2,
  "llama-15m": llama,
  "llama-110m": {
    ...llama,
    n_layer: 12,
    n_embd: 768,
    n_head: 12,
    block_size: 1024,
    mlp_hidden: 2048,
    batch_size: 8,
  },
  "qwen3-15m": qwen3,
  "nanochat-d6": nanochat,
  "size-tiny": {
    ...size,
    n_layer: 2,
    n_embd: 64,
    n_head: 4,
    n_kv_head: 2,
    head_dim: 16,
    block_size: 64,
    num_steps: 2000,
    ...rates.tiny,
  },
  "size-small": {
    ...size,
    n_layer: 4,
    n_embd: 128,
    n_head: 4,
    n_kv_head: 2,
    head_dim: 32,
    block_size: 128,
    num_steps: 3000,
    ...rates.small,
  },
  "size-medium": {
    ...size,
    n_layer: 6,
    n_embd: 256,
    n_head: 8,
    head_dim: 32,
    block_size: 256,
    num_steps: 5000,
    ...rates.medium,
  },
  "size-large": {
    ...size,
    n_layer: 8,
    n_embd: 512,
    num_steps: 20_000,
    ...rates.large,
  },
} satisfies Record<string, Config>;

export type PresetName = keyof typeof presets;

interface PresetNote {
  what: string;
  /** Tokens in the vocabulary of a text that it is for. */
  vocab_size: number;
  /** Whether it is a model of characters, whatever the text. */
  characters?: true;
}

/** What each preset is. */
export const presetNotes: Record<PresetName, PresetNote> = {
  microgpt: { what: "microgpt.py's final revision", vocab_size: 27, characters: true },
  "microgpt-cosine": { what: "its earlier revision", vocab_size: 27, characters: true },
  tiny: { what: "microgpt's model, on batches", vocab_size: 27, characters: true },
  small: { what: "for texts of some 100 KB", vocab_size: 65 },
  medium: { what: "for texts of a megabyte", vocab_size: 65 },
  shakespeare: {
    what: "nanoGPT's model of characters, for a megabyte",
    vocab_size: 65,
    characters: true,
  },
  gpt2: { what: "GPT-2's sizes, in microgpt's architecture", vocab_size: 50304 },
  "llama-15m": { what: "Llama, in the size of TinyStories' models", vocab_size: 32000 },
  "llama-110m": { what: "the largest of TinyStories' models", vocab_size: 32000 },
  "qwen3-15m": { what: "Qwen3, as large as llama-15m", vocab_size: 32000 },
  "nanochat-d6": { what: "nanochat, as its script for CPUs trains it", vocab_size: 32768 },
  "size-tiny": { what: "Qwen3 for some KB of text, on any computer", vocab_size: 65 },
  "size-small": { what: "Qwen3 for some 100 KB", vocab_size: 65 },
  "size-medium": { what: "Qwen3 for a megabyte, on a GPU", vocab_size: 65 },
  "size-large": { what: "Qwen3 for ten megabytes and more, on a GPU", vocab_size: 65 },
};

/** What `--size` may be. */
export const sizes = ["tiny", "small", "medium", "large"] as const;

export function isPreset(name: string): name is PresetName {
  return Object.hasOwn(presets, name);
}

/** For a sentence or a list. */
export const presetNames = Object.keys(presets).join(", ");
