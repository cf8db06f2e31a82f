// Shapes of models that several tests take.

/** Qwen3's, with every option that it has. */
export const qwen = {
  n_kv_head: 2,
  activation: "swiglu",
  position: "rope",
  qk_norm: true,
  norm_gain: true,
  final_norm: true,
  embedding_norm: false,
  tie_embeddings: true,
} as const;
