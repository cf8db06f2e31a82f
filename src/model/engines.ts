// Which models the kernels of one workgroup serve: those like microgpt. The general engines and the CPU serve them all.

import { isRelu, isRope } from "../choices.ts";
import type { Config } from "../config.ts";

const on = (value: boolean) => value;

/** By setting: whether a model goes beyond what microgpt has. */
const beyond = {
  n_kv_head: (heads: number, { n_head }: Sizes) => heads !== 0 && heads !== n_head,
  head_dim: (HS: number, { n_head, n_embd }: Sizes) => HS !== 0 && HS * n_head !== n_embd,
  mlp_hidden: (H: number, { n_embd }: Sizes) => H !== 0 && H !== 4 * n_embd,
  activation: (activation: Config["activation"]) => !isRelu(activation),
  position: isRope,
  qk_norm: on,
  norm_gain: on,
  embedding_norm: (norm: boolean) => !norm,
  final_norm: on,
  tie_embeddings: on,
  logit_softcap: (cap: number) => cap > 0,
  dropout: (dropout: number) => dropout > 0,
  lora_rank: (rank: number) => rank > 0,
} as const;

type Sizes = Pick<Config, "n_embd" | "n_head">;
type Beyond = keyof typeof beyond;
/** What decides whether it can. */
export type EngineConfig = Pick<Config, Beyond | keyof Sizes>;

/** Whether a model has nothing that microgpt's have not, whatever its sizes. */
export function isLikeMicrogpt(config: EngineConfig): boolean {
  const goes = (name: Beyond) =>
    (beyond[name] as (value: unknown, sizes: Sizes) => boolean)(config[name], config);
  return !(Object.keys(beyond) as Beyond[]).some(goes);
}
