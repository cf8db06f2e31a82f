// What an optimizer does to each parameter, and what it keeps of it from step to step.

import type { Config } from "../config.ts";
import { type Dims, isGain, ParameterLayout, type Slice } from "./parameters.ts";

/** How a parameter is trained. */
type Rule = "adamw" | "muon" | "sgd";

type Parameter = Pick<Slice, "name" | "shape">;

const rules: Record<Config["optimizer"], (parameter: Parameter) => Rule> = {
  adamw: () => "adamw",
  sgd: () => "sgd",
  // Rows of embeddings and of the head belong to tokens: they are vectors beside one another.
  muon: (parameter) =>
    !isGain(parameter) && parameter.name.startsWith("layer") ? "muon" : "adamw",
};

function ruleOf({ optimizer }: Pick<Config, "optimizer">, parameter: Parameter): Rule {
  return rules[optimizer](parameter);
}

/** Decay is for matrices only: a gain has no reason to be near 0. */
export function decayOf(
  { weight_decay }: Pick<Config, "weight_decay">,
  parameter: Parameter,
): number {
  return isGain(parameter) ? 0 : weight_decay;
}

/** What a run keeps beside its parameters: a decaying mean of the gradient, and of its square. */
export const momentNames = ["m", "v"] as const;
export type MomentName = (typeof momentNames)[number];

const kept: Record<Rule, Record<MomentName, boolean>> = {
  adamw: { m: true, v: true },
  muon: { m: true, v: false },
  sgd: { m: true, v: false },
};

/**
 * Where each moment lies in a flat array of its own: that of the parameters that have it, in the table's order.
 * @param align as in ParameterLayout
 */
export function momentLayouts(
  config: Pick<Config, "optimizer">,
  dims: Dims,
  align = 1,
): Record<MomentName, ParameterLayout> {
  const layout = (name: MomentName) =>
    new ParameterLayout(dims, align, (parameter) => kept[ruleOf(config, parameter)][name]);
  return { m: layout("m"), v: layout("v") };
}

/** Times that a matrix passes through Muon's polynomial. */
export const MUON_ITERATIONS = 5;

/** Neighbours in the flat arrays that are trained alike. */
export interface Run {
  rule: Exclude<Rule, "muon">;
  weight_decay: number;
  offset: number;
  size: number;
  /** Where its second moment begins; 0 where it has none. */
  second: number;
}

/** All that is trained element by element, in as few pieces as can be. */
export function elementRuns(
  config: Pick<Config, "optimizer" | "weight_decay">,
  layout: ParameterLayout,
  { v }: Record<MomentName, ParameterLayout>,
): Run[] {
  const runs: Run[] = [];
  let open: Run | undefined;
  for (const slice of layout.slices) {
    const rule = ruleOf(config, slice);
    if (rule === "muon") {
      open = undefined;
      continue;
    }
    const weight_decay = decayOf(config, slice);
    if (open?.rule !== rule || open.weight_decay !== weight_decay) {
      const second = kept[rule].v ? v.slice(slice.name).offset : 0;
      open = { rule, weight_decay, offset: slice.offset, size: 0, second };
      runs.push(open);
    }
    open.size = slice.offset + slice.size - open.offset;
  }
  return runs;
}

/** A parameter that Muon trains. */
export interface MuonMatrix extends Slice {
  rows: number;
  columns: number;
  /** Its short side, and its long one. */
  n: number;
  k: number;
}

/** The matrices that Muon trains, in the table's order. */
export function muonMatrices(
  config: Pick<Config, "optimizer">,
  layout: ParameterLayout,
): MuonMatrix[] {
  return layout.slices
    .filter((slice) => ruleOf(config, slice) === "muon")
    .map((slice) => {
      const [rows, columns = 1] = slice.shape;
      return { ...slice, rows, columns, n: Math.min(rows, columns), k: Math.max(rows, columns) };
    });
}
