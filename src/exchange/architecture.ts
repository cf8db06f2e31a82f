// The architectures that other programs know by name, Llama's and Qwen3's: which of them a model is, and back.

import type { Config } from "../config.ts";
import { dimsOf } from "../model/parameters.ts";

/** As `model_type` and `general.architecture` have it. */
export const architectures = ["llama", "qwen3"] as const;
export type Architecture = (typeof architectures)[number];

/** What a model of one of them is, every size said. */
export interface LlamaShape {
  architecture: Architecture;
  n_layer: number;
  n_embd: number;
  n_head: number;
  n_kv_head: number;
  head_dim: number;
  mlp_hidden: number;
  block_size: number;
  rope_theta: number;
  rmsnorm_eps: number;
  tie_embeddings: boolean;
}

/** What both are, beside Qwen3's qk_norm. */
const common = {
  activation: "swiglu",
  position: "rope",
  norm_gain: true,
  embedding_norm: false,
  final_norm: true,
  logit_softcap: 0,
} as const satisfies Partial<Config>;

/** The shape of a model; or, where it is of neither architecture, why, as the end of a sentence. */
export function llamaShape(config: Config): LlamaShape | string {
  const { n_layer, n_embd, n_head, block_size, rope_theta, rmsnorm_eps, tie_embeddings } = config;
  for (const [name, value] of Object.entries(common)) {
    const own = config[name as keyof typeof common];
    if (own !== value) return `${name} is ${own}, and Llama and Qwen3 have ${value}`;
  }
  const architecture = config.qk_norm ? "qwen3" : "llama";
  if (architecture === "llama" && n_embd % n_head !== 0) {
    return `n_embd is ${n_embd} and n_head ${n_head}, and Llama's channels are a multiple of its heads`;
  }
  const { NKV, HS, H } = dimsOf(config, 1);
  const sizes = { n_layer, n_embd, n_head, n_kv_head: NKV, head_dim: HS, mlp_hidden: H };
  return { architecture, ...sizes, block_size, rope_theta, rmsnorm_eps, tie_embeddings };
}

/** The settings of a model of such a shape; sizes that are the usual ones are left open, as 0. */
export function settingsOf({ architecture, ...shape }: LlamaShape): Partial<Config> {
  const settings = { ...common, qk_norm: architecture === "qwen3", ...shape };
  const usual = { ...settings, n_kv_head: 0, head_dim: 0, mlp_hidden: 0 };
  const { NKV, HS, H } = dimsOf(usual, 1);
  return {
    ...settings,
    n_kv_head: shape.n_kv_head === NKV ? 0 : shape.n_kv_head,
    head_dim: shape.head_dim === HS ? 0 : shape.head_dim,
    mlp_hidden: shape.mlp_hidden === H ? 0 : shape.mlp_hidden,
  };
}
