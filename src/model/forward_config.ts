// What a model's forward and backward pass depend on beside its sizes.

import { isRelu, type Relu } from "../choices.ts";
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
  | "lora_rank"
  | "lora_alpha"
>;

/**
 * The activation where the MLP's first product makes it too; undefined where its input is kept: its output does not tell
 * its slope, or adapters add to its input.
 */
export function fusedActivation({
  activation,
  lora_rank,
}: Pick<ForwardConfig, "activation" | "lora_rank">): Relu | undefined {
  return isRelu(activation) && lora_rank === 0 ? activation : undefined;
}
