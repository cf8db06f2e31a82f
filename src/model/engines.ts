// Which engine can train a model: small_train those like microgpt, the GPU's kernels these and more, the CPU all.

import { isRelu, isRope } from "../choices.ts";
import type { Config } from "../config.ts";
import { type ChosenDevice, chooseDevice, type DeviceChoice } from "../device/choose.ts";
import { ConfigError } from "../errors.ts";

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
} as const;

type Sizes = Pick<Config, "n_embd" | "n_head">;
type Beyond = keyof typeof beyond;
/** What decides which engine can train a model. */
export type EngineConfig = Pick<Config, Beyond | keyof Sizes>;

/** What the GPU has no kernels for yet: a name goes from here with the kernels that come. */
const missing: readonly Beyond[] = [];

function beyondMicrogpt(config: EngineConfig): Beyond[] {
  return (Object.keys(beyond) as Beyond[]).filter((name) =>
    (beyond[name] as (value: unknown, sizes: Sizes) => boolean)(config[name], config),
  );
}

/** Whether a model has nothing that microgpt's have not, whatever its sizes. */
export function isLikeMicrogpt(config: EngineConfig): boolean {
  return beyondMicrogpt(config).length === 0;
}

/** Why no GPU can train the model, as a sentence; null where one can. */
export function whyNotGpu(config: EngineConfig): string | null {
  const names = beyondMicrogpt(config).filter((name) => missing.includes(name));
  if (names.length === 0) return null;
  return `There are no GPU kernels yet for ${names.map((name) => `${name} ${config[name]}`).join(", ")}.`;
}

/**
 * The device for some models: chooseDevice()'s, but the CPU for what no GPU can train.
 * @throws ConfigError if `webgpu` was asked for, and one of them is none for a GPU
 * @throws NoWebGpuError as chooseDevice()
 */
export async function chooseEngine(
  choice: DeviceChoice,
  configs: readonly EngineConfig[],
  estimate?: Parameters<typeof chooseDevice>[1],
): Promise<ChosenDevice> {
  const fallback = configs.map(whyNotGpu).find((why) => why !== null);
  if (fallback === undefined || choice === "cpu") return chooseDevice(choice, estimate);
  if (choice === "webgpu") {
    throw new ConfigError(
      "device",
      `${fallback} Choose the device auto or cpu, or leave them out.`,
    );
  }
  return { device: undefined, fallback, device_reason: null };
}
