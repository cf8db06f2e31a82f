// What a model's forward and backward pass depend on beside its sizes.

import type { Config } from "../config.ts";

export type ForwardConfig = Pick<
  Config,
  | "activation"
  | "position"
  | "rope_theta"
  | "qk_norm"
  | "embedding_norm"
  | "final_norm"
  | "logit_softcap"
  | "rmsnorm_eps"
  | "dropout"
  | "seed"
>;
