// Models that no engine trains yet.

import type { Config, ConfigChoice } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { presets } from "../presets.ts";

/** Settings that have a meaning only where they are as the preset microgpt has them. */
const names = [
  "n_kv_head",
  "head_dim",
  "mlp_hidden",
  "position",
  "qk_norm",
  "norm_gain",
  "embedding_norm",
  "final_norm",
  "tie_embeddings",
  "logit_softcap",
  "dropout",
] as const satisfies (keyof Config)[];

/** @throws ConfigError if no engine can train such a model yet */
export function checkBuilt(config: Partial<ConfigChoice>): void {
  const missing = unbuilt(config);
  if (missing) throw new ConfigError(...missing);
}

function unbuilt(config: Partial<ConfigChoice>): [keyof Config, string] | undefined {
  const name = names.find(
    (name) => (config[name] ?? presets.microgpt[name]) !== presets.microgpt[name],
  );
  if (name !== undefined) {
    return [
      name,
      `${name} ${config[name]} is not built yet; leave it at ${presets.microgpt[name]}.`,
    ];
  }
  const { activation = "relu" } = config;
  if (["relu", "relu_squared"].includes(activation)) return undefined;
  return ["activation", `activation ${activation} is not built yet; choose relu or relu_squared.`];
}
