// Attention's three operations as dispatches: which kernel serves them, and its grid.

import { type Device, softwareLanes } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";

/**
 * "lanes" are made for the few lanes of software GPUs. "tiles" run on any GPU that has the workgroup
 * memory. "rows", a query or a key a workgroup, serve the rest, and the heads that the others do not.
 */
export type AttentionKernels = "lanes" | "tiles" | "rows";

/** The kernels of each operation. */
const KERNELS = {
  attention_forward: {
    lanes: "attention_forward_lanes",
    tiles: "attention_forward_tiles",
    rows: "attention_forward",
  },
  attention_backward_q: {
    lanes: "attention_backward_q_lanes",
    tiles: "attention_backward_q_tiles",
    rows: "attention_backward_q",
  },
  attention_backward_kv: {
    lanes: "attention_backward_kv_lanes",
    tiles: "attention_backward_kv_tiles",
    rows: "attention_backward_kv",
  },
} as const;

export type AttentionOp = keyof typeof KERNELS;

/** Queries (keys, in the keys' half of the backward pass) that a workgroup of the tiles makes. */
const TILE = 64;
/** Bytes of workgroup memory that the tiles take at most. */
const TILE_MEMORY = 32768;
/** Queries or keys that a subgroup makes for each of its lanes. */
const LANE_ROWS = 2;

export interface AttentionSizes {
  B: number;
  T: number;
  C: number;
  NH: number;
}

/** The families that run on any GPU, as far as this one has the memory. */
export function portableAttention({ gpu: { limits } }: Device): ("tiles" | "rows")[] {
  const fits =
    limits.maxComputeWorkgroupStorageSize >= TILE_MEMORY &&
    limits.maxComputeInvocationsPerWorkgroup >= TILE * 2;
  return fits ? ["tiles", "rows"] : ["rows"];
}

/** The family that the rule takes. */
export function attentionKernels(device: Device): AttentionKernels {
  return softwareLanes(device) > 0 ? "lanes" : portableAttention(device)[0];
}

/**
 * @param lanes subgroup size of a software GPU, for the lanes
 * @param WG threads of a workgroup of the rows
 */
export function attention(
  { kernels, lanes, WG }: { kernels: AttentionKernels; lanes: number; WG: number },
  op: AttentionOp,
  bindings: Dispatch["bindings"],
  { B, T, C, NH }: AttentionSizes,
): Dispatch {
  const HS = C / NH;
  if (HS % 4 === 0 && kernels === "lanes") {
    return {
      op,
      kernel: KERNELS[op].lanes,
      constants: { LANES: lanes },
      sizes: { T, C, NH, HS },
      bindings,
      grid: [Math.ceil(T / (lanes * LANE_ROWS)), NH * Math.ceil(HS / (lanes * 4)), B],
    };
  }
  if (HS % 4 === 0 && kernels === "tiles") {
    const DEPTH = [8, 4, 1].find((depth) => (HS / 4) % depth === 0)!;
    return {
      op,
      kernel: KERNELS[op].tiles,
      constants: { DEPTH, WIDE: Number(HS > 32) },
      sizes: { T, C, NH, HS },
      bindings,
      grid: [NH * Math.ceil(HS / 64), B, Math.ceil(T / TILE)], // z goes from the longest tile down
    };
  }
  return {
    op,
    kernel: KERNELS[op].rows,
    constants: { HS, WG },
    sizes: { T, C, NH },
    bindings,
    grid: [T, NH, B],
  };
}
