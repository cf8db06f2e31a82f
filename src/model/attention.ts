// Attention's three operations as dispatches: which kernel serves them, and its grid.

import { type Device, softwareLanes } from "../device/device.ts";
import { matrixUnit, unitConstants } from "../device/matrix_unit.ts";
import type { Dispatch } from "../device/schedule.ts";
import { ALIGNMENT, sizeOf, sliceTensor, widthOf } from "../device/tensors.ts";

/**
 * "matrix" run on matrix units, where the tensors hold f16. "lanes" are made for the few lanes of software GPUs.
 * "tiles" run on any GPU that has the workgroup memory. "rows", a query or a key a workgroup, serve the rest, and
 * the heads that the others do not.
 */
export type AttentionKernels = "matrix" | "lanes" | "tiles" | "rows";

/** The kernels of each operation. */
const KERNELS = {
  attention_forward: {
    matrix: "attention_forward_matrix",
    lanes: "attention_forward_lanes",
    tiles: "attention_forward_tiles",
    rows: "attention_forward",
  },
  attention_backward_q: {
    matrix: "attention_backward_q_matrix",
    lanes: "attention_backward_q_lanes",
    tiles: "attention_backward_q_tiles",
    rows: "attention_backward_q",
  },
  attention_backward_kv: {
    matrix: "attention_backward_kv_matrix",
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

/** Channels by whose multiples the rows make room for a head, so that few sizes of heads have a pipeline of their own. */
const ROOM_STEP = 64;

/** Queries or keys that a workgroup of the matrix kernels makes: as many as there is room for. */
const MATRIX_ROWS = [64, 32, 16];
/** Keys or queries that it takes at a time. */
const MATRIX_STEP = 32;
/** The most channels of a head whose matrices a subgroup can hold. */
const MATRIX_HEAD = 128;
/** Bytes of workgroup memory that it takes for a row, and besides, without the tile: see the WGSL. */
const MATRIX_MEMORY = {
  attention_forward: { row: 4 * (MATRIX_STEP + 4) + 2 * (MATRIX_STEP + 8), rest: 16 },
  attention_backward_q: { row: 8 * (MATRIX_STEP + 4) + 2 * (MATRIX_STEP + 8), rest: 0 },
  attention_backward_kv: {
    row: 8 * (MATRIX_STEP + 4) + 4 * (MATRIX_STEP + 8),
    rest: 12 * MATRIX_STEP,
  },
};

export interface AttentionSizes {
  B: number;
  T: number;
  /** Channels of q, NH·HS. */
  C: number;
  NH: number;
  /** Heads of keys and values, each for NH / NKV of q; as many as NH where absent. */
  NKV?: number;
}

/** The families that a device has, the one that the rule takes first; those behind serve what it does not. */
export function attentionFamilies(device: Device): AttentionKernels[] {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.gpu.limits;
  const matrix: AttentionKernels[] = matrixUnit(device) ? ["matrix"] : [];
  const tiles: AttentionKernels[] =
    maxComputeWorkgroupStorageSize >= TILE_MEMORY && maxComputeInvocationsPerWorkgroup >= TILE * 2
      ? ["tiles"]
      : [];
  // What a software GPU computes in place of matrix units is slower than its lanes.
  if (softwareLanes(device) > 0) return ["lanes", ...matrix, ...tiles, "rows"];
  return [...matrix, ...tiles, "rows"];
}

/** Rows of a workgroup of the matrix kernels; 0 where they do not serve such heads. */
function matrixRows(device: Device, op: AttentionOp, HS: number): number {
  const unit = matrixUnit(device);
  if (unit === undefined || HS % 4 > 0 || HS > MATRIX_HEAD) return 0;
  const { M, N, K, lanes } = unit;
  if (lanes % M > 0 || MATRIX_STEP % N > 0 || MATRIX_STEP % K > 0) return 0;
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.gpu.limits;
  const multiple = Math.max(N, K);
  const tile = 2 * (2 * MATRIX_STEP) * (Math.ceil(HS / multiple) * multiple + 8);
  const { row, rest } = MATRIX_MEMORY[op];
  const fits = (rows: number) =>
    rows % M === 0 &&
    (rows / M) * lanes <= maxComputeInvocationsPerWorkgroup &&
    tile + rows * row + rest <= maxComputeWorkgroupStorageSize;
  return MATRIX_ROWS.find(fits) ?? 0;
}

/** Products of (T, HS) and (T, T) in each head, of which the lower triangle is computed. */
const PRODUCTS = {
  attention_forward: 2, // scores, out
  attention_backward_q: 3, // scores again, their gradient, dq
  attention_backward_kv: 4, // both again, dk, dv
};

/**
 * @param first the family that is asked first
 * @param WG threads of a workgroup of the rows
 */
export function attention(
  device: Device,
  choice: { first: AttentionKernels; WG: number },
  op: AttentionOp,
  bindings: Dispatch["bindings"],
  sizes: AttentionSizes,
): Dispatch {
  const { B, T, C } = sizes;
  const make = (first: number, count: number) =>
    sequences(device, choice, op, sliceBatch(bindings, B, first, count), { ...sizes, B: count });
  const parts = (count: number) => {
    const share = shareOf(bindings, B, count);
    return Array.from({ length: Math.ceil(B / share) }, (_, i) =>
      make(i * share, Math.min(share, B - i * share)),
    );
  };
  return {
    ...sequences(device, choice, op, bindings, sizes),
    work: { flops: PRODUCTS[op] * B * T * (T + 1) * C, parts },
  };
}

/** Sequences that a part has, so that every tensor's piece begins where a binding may. */
function shareOf(bindings: Dispatch["bindings"], B: number, parts: number): number {
  const aligned = (share: number) =>
    Object.values(bindings).every(
      (tensor) => ((share * sizeOf(tensor) * widthOf(tensor)) / B) % ALIGNMENT === 0,
    );
  let share = Math.ceil(B / parts);
  while (share < B && !aligned(share)) share++;
  return share;
}

/** The tensors of some of the sequences; each has those of all, one after the other. */
function sliceBatch(bindings: Dispatch["bindings"], B: number, first: number, count: number) {
  return Object.fromEntries(
    Object.entries(bindings).map(([key, tensor]) => {
      const width = sizeOf(tensor) / B;
      const { name } = tensor;
      const piece = { name, shape: [count * width], offset: first * width, size: count * width };
      return [key, sliceTensor(tensor, piece)];
    }),
  );
}

function sequences(
  device: Device,
  { first, WG }: { first: AttentionKernels; WG: number },
  op: AttentionOp,
  bindings: Dispatch["bindings"],
  { B, T, C, NH, NKV = NH }: AttentionSizes,
): Dispatch {
  const HS = C / NH;
  const heads = op === "attention_backward_kv" ? NKV : NH; // that workgroups serve
  const half = bindings.qkv.dtype === "f16";
  const serves = (family: AttentionKernels) => {
    if (family === "matrix") return half && matrixRows(device, op, HS) > 0;
    return family === "rows" || HS % 4 === 0;
  };
  const family = [first, ...attentionFamilies(device)].find(serves)!;
  const call = { op, kernel: KERNELS[op][family], bindings };
  const sizes = { T, C, W: C + 2 * NKV * HS, NH, NKV, HS };
  if (family === "matrix") {
    const unit = matrixUnit(device)!;
    const rows = matrixRows(device, op, HS);
    return {
      ...call,
      constants: { ...unitConstants(unit), HS, DOWN: rows / unit.M },
      sizes,
      grid: [heads, B, Math.ceil(T / rows)], // as below
    };
  }
  if (family === "lanes") {
    const LANES = softwareLanes(device);
    return {
      ...call,
      constants: { LANES },
      sizes,
      grid: [Math.ceil(T / (LANES * LANE_ROWS)), heads * Math.ceil(HS / (LANES * 4)), B],
    };
  }
  if (family === "tiles") {
    const DEPTH = [8, 4, 1].find((depth) => (HS / 4) % depth === 0)!;
    return {
      ...call,
      constants: { DEPTH, WIDE: Number(HS > 32) },
      sizes,
      grid: [heads * Math.ceil(HS / 64), B, Math.ceil(T / TILE)], // z goes from the longest tile down
    };
  }
  return { ...call, constants: { ROOM: attentionRoom(HS), WG }, sizes, grid: [T, heads, B] };
}

/** Channels that a pipeline has room for whose workgroups take a row of one head. */
export function attentionRoom(HS: number): number {
  return Math.ceil(HS / ROOM_STEP) * ROOM_STEP;
}
