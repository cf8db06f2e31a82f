// Which models the kernels of one workgroup serve: those like microgpt. The general engines and the CPU serve them all.

import { isRelu } from "../choices.ts";
import type { Config } from "../config.ts";
import { presets } from "../presets.ts";

/** Settings that a model like microgpt has as microgpt has them; of activations it may have the earlier one too. */
export const microgptNames = [
  "position",
  "qk_norm",
  "norm_gain",
  "embedding_norm",
  "final_norm",
  "tie_embeddings",
  "logit_softcap",
] as const satisfies readonly (keyof Config)[];

/** Those that change the work alone, and not what a saved model is. */
const workNames = ["dropout", "lora_rank"] as const satisfies readonly (keyof Config)[];

/** Of these some are 0 where they follow from the others, and no other value will do. */
type Sizes = Pick<Config, "n_embd" | "n_head" | "n_kv_head" | "head_dim" | "mlp_hidden">;

/** What decides whether it can. */
export type EngineConfig = Sizes &
  Pick<Config, "activation" | (typeof microgptNames)[number] | (typeof workNames)[number]>;

/** Whether a model has nothing that microgpt's have not, whatever its sizes. */
export function isLikeMicrogpt(config: EngineConfig): boolean {
  const { n_embd, n_head, n_kv_head, head_dim, mlp_hidden } = config;
  return (
    [...microgptNames, ...workNames].every((name) => config[name] === presets.microgpt[name]) &&
    isRelu(config.activation) &&
    [0, n_head].includes(n_kv_head) &&
    (head_dim === 0 || head_dim * n_head === n_embd) &&
    [0, 4 * n_embd].includes(mlp_hidden)
  );
}
