// Our parameters by llama.cpp's names, and the order of rows that it wants.

import { sizeOf } from "../../device/tensors.ts";
import type { Dims, ParameterLayout, Slice } from "../../model/parameters.ts";
import type { Architecture } from "../architecture.ts";
import type { LlamaTensor } from "../llama_tensors.ts";

const outside: Readonly<Record<string, string>> = {
  wte: "token_embd",
  lm_head: "output",
  final_norm: "output_norm",
};

const inLayers: Readonly<Record<string, string>> = {
  attn_norm: "attn_norm",
  attn_wq: "attn_q",
  attn_wk: "attn_k",
  attn_wv: "attn_v",
  q_norm: "attn_q_norm",
  k_norm: "attn_k_norm",
  attn_wo: "attn_output",
  mlp_norm: "ffn_norm",
  mlp_gate: "ffn_gate",
  mlp_fc1: "ffn_up",
  mlp_fc2: "ffn_down",
};

/** A parameter as llama.cpp calls it, where it lies among ours, and the row there of each row of a file. */
export interface GgufParameter extends LlamaTensor {
  rowOf: (row: number) => number;
}

/** All parameters of a model of one of the architectures, in our order. */
export function ggufParameters(
  layout: ParameterLayout,
  architecture: Architecture,
): GgufParameter[] {
  return layout.slices.map((slice) => {
    const [, layer, part] = /^layer(\d+)\.(\w+)$/.exec(slice.name) ?? [];
    const name = part === undefined ? outside[slice.name] : `blk.${layer}.${inLayers[part]}`;
    const isTurned = part === "attn_wq" || part === "attn_wk";
    const rowOf = isTurned ? turnedRow(architecture, layout.dims) : (row: number) => row;
    return { name: `${name}.weight`, slice, rowOf };
  });
}

/**
 * Of q and k we turn channels i and i + HS / 2 of a head together, as llama.cpp does for Qwen3; for Llama it turns 2i
 * and 2i + 1, as its authors did, so that there the rows of each head take turns.
 */
function turnedRow(architecture: Architecture, { HS }: Dims): (row: number) => number {
  if (architecture !== "llama") return (row) => row;
  return (row) => {
    const channel = row % HS;
    return row - channel + (channel % 2) * (HS / 2) + Math.floor(channel / 2);
  };
}

/** Rows and columns; a gain is one row. */
export function rowsOf({ shape }: Pick<Slice, "shape">): [rows: number, columns: number] {
  const columns = shape.at(-1)!;
  return [sizeOf({ shape }) / columns, columns];
}
