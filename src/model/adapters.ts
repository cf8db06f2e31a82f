// Low-rank adapters beside frozen weights (LoRA): of which linear layers, and where they lie. With one a layer makes
// out = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ, A (R, IC) and B (OC, R). Letters: parameters.ts.
//
// q, k and v are one product, and so are gate and up: the As of such a layer are one matrix (S·R, IC), S of them beneath
// each other, and its Bs one (their rows, R), of which each makes rows of its own of the output.

import type { Config } from "../config.ts";
import type { Target } from "../config/lora_targets.ts";
import type { PythonRandom } from "../random.ts";
import type { Dims, ParameterInfo } from "./parameters.ts";

/** The weight of a target. */
export const targetWeights: Record<Target, string> = {
  q: "attn_wq",
  k: "attn_wk",
  v: "attn_wv",
  o: "attn_wo",
  gate: "mlp_gate",
  up: "mlp_fc1",
  down: "mlp_fc2",
};

/** The linear layers as products make them, and whose adapters they have. */
const linears = {
  attn_wqkv: ["q", "k", "v"],
  attn_wo: ["o"],
  mlp_in: ["gate", "up"],
  mlp_fc2: ["down"],
} as const satisfies Record<string, readonly Target[]>;
export type LinearName = keyof typeof linears;
export const linearNames = Object.keys(linears) as LinearName[];

/** Of a model that has some. */
export interface Adapters {
  /** Rank. */
  R: number;
  targets: readonly Target[];
}

/** Factor on what adapters add; an alpha of 0 is twice the rank. */
export function scaleOf({ lora_rank, lora_alpha }: Pick<Config, "lora_rank" | "lora_alpha">) {
  return lora_alpha === 0 ? 2 : lora_alpha / lora_rank;
}

/** The model without its adapters: that of the frozen weights. */
export function frozenDims(dims: Dims): Dims {
  return { ...dims, adapters: undefined };
}

/** The settings of the model that adapters become a part of. */
export function mergedConfig<C extends Pick<Config, "lora_rank">>(config: C): C {
  return { ...config, lora_rank: 0 };
}

/** Channels that a target's weight reads and makes. */
function channels({ C, NH, NKV, HS, H }: Dims, target: Target): { IC: number; OC: number } {
  const of: Record<Target, [IC: number, OC: number]> = {
    q: [C, NH * HS],
    k: [C, NKV * HS],
    v: [C, NKV * HS],
    o: [NH * HS, C],
    gate: [C, H],
    up: [C, H],
    down: [H, C],
  };
  const [IC, OC] = of[target];
  return { IC, OC };
}

/** A linear layer's adapters. */
export interface LinearAdapters {
  R: number;
  /** Channels between A and B: R for each of its targets. */
  SR: number;
  /** The rows of the output that each target makes. */
  parts: readonly { target: Target; begin: number; end: number }[];
}

/** Those of a linear layer; undefined where it has none. */
export function adaptersOf(dims: Dims, linear: LinearName): LinearAdapters | undefined {
  const { adapters, mlp_gate } = dims;
  if (adapters === undefined) return undefined;
  let end = 0;
  const all = linears[linear]
    .filter((target) => target !== "gate" || mlp_gate)
    .map((target) => {
      const begin = end;
      end += channels(dims, target).OC;
      return { target, begin, end };
    });
  const parts = all.filter(({ target }) => adapters.targets.includes(target));
  const { R } = adapters;
  return parts.length === 0 ? undefined : { R, SR: R * parts.length, parts };
}

/** The adapters of all layers, As before Bs, those of one product without gaps. */
export function adapterTable(dims: Dims): ParameterInfo[] {
  const { L, adapters } = dims;
  const { R } = adapters!;
  return Array.from({ length: L }, (_, l) =>
    linearNames.flatMap((linear) => {
      const { parts = [] } = adaptersOf(dims, linear) ?? {};
      const rows = (matrix: "A" | "B") =>
        parts.map(({ target }, i): ParameterInfo => {
          const { IC, OC } = channels(dims, target);
          const shape = matrix === "A" ? ([R, IC] as const) : ([OC, R] as const);
          const name = `layer${l}.${targetWeights[target]}.lora_${matrix}`;
          return { name, shape, follows: i > 0 };
        });
      return [...rows("A"), ...rows("B")];
    }),
  ).flat();
}

/** The views of a layer's adapters as its products read them: name, first tensor, rows and columns. */
export function adapterViews(dims: Dims, l: number) {
  return linearNames.flatMap((linear) => {
    const found = adaptersOf(dims, linear);
    if (found === undefined) return [];
    const { parts, R, SR } = found;
    const first = `layer${l}.${targetWeights[parts[0].target]}`;
    const rows = parts.reduce((sum, { begin, end }) => sum + end - begin, 0);
    const { IC } = channels(dims, parts[0].target);
    return [
      { name: `layer${l}.${linear}.lora_A`, first: `${first}.lora_A`, shape: [SR, IC] as const },
      { name: `layer${l}.${linear}.lora_B`, first: `${first}.lora_B`, shape: [rows, R] as const },
    ];
  });
}

/** As PEFT begins: A uniform within ±1/√IC (Kaiming's bound for a slope of √5), B zero, so that nothing is added yet. */
export function drawAdapters(
  slices: readonly { name: string; shape: readonly number[]; offset: number; size: number }[],
  random: PythonRandom,
): Float64Array {
  const last = slices.at(-1)!;
  const values = new Float64Array(last.offset + last.size);
  for (const { name, shape, offset, size } of slices) {
    if (!name.endsWith("lora_A")) continue;
    const bound = 1 / Math.sqrt(shape[1]);
    for (let i = 0; i < size; i++) values[offset + i] = (2 * random.random() - 1) * bound;
  }
  return values;
}
