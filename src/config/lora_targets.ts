// Which weights have adapters, as a setting says it: words with commas between, each a weight or a group of them.

/** The weights of a layer by their names in PEFT's configurations, short. */
const targets = ["q", "k", "v", "o", "gate", "up", "down"] as const;
export type Target = (typeof targets)[number];

const groups: Record<string, readonly Target[]> = {
  all: targets,
  attention: ["q", "k", "v", "o"],
  mlp: ["gate", "up", "down"],
};

/** All words that there are. */
export const targetWords: readonly string[] = [...targets, ...Object.keys(groups)];

export function wordsOf(lora_targets: string): string[] {
  return lora_targets.split(",").map((word) => word.trim());
}

/**
 * The weights that are named, in their own order; a group's gate where the model has one.
 * @param gated whether the MLP is
 */
export function targetsOf(lora_targets: string, gated: boolean): Target[] {
  const named = new Set(wordsOf(lora_targets).flatMap((word) => groups[word] ?? [word]));
  return targets.filter((target) => named.has(target) && (target !== "gate" || gated));
}
