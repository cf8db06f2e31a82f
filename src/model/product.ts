// Matrix products as dispatches: the kernels that can serve a shape on a device, and which one does unless
// something better is known.

import { type Device, softwareLanes } from "../device/device.ts";
import { type MatrixUnit, matrixUnit, unitConstants } from "../device/matrix_unit.ts";
import { type Dispatch, gridOf, splitGrid } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";

/** What a kernel makes of its sums before it stores them, as the WGSL numbers it. */
const EPILOGUES = {
  none: 0,
  residual: 1,
  relu: 2,
  relu_squared: 3,
  relu_backward: 4,
  relu_squared_backward: 5,
} as const;

/** out (M, N) = a (M, K) · b (K, N), and in a pair out2 (K, N) = aᵀ · b2 (M, N). */
export interface ProductShape {
  op: string;
  M: number;
  N: number;
  K: number;
  /** Whether b is stored as (N, K): a weight, read as its transpose. */
  transposed: boolean;
  pair: boolean;
  epilogue: keyof typeof EPILOGUES;
  /** Those of its tensors that hold f16. Where b does, the operands of both products are f16. */
  half: readonly (keyof ProductTensors)[];
}

type Tile = readonly [number, number];

/** A kernel and its tuning. */
export interface ProductVariant {
  /** For people, and to be remembered by. */
  name: string;
  kernel: "matmul" | "matmul_wide" | "matmul_lanes" | "matmul_matrix" | "matmul_rows";
  /** Rows and columns that a workgroup makes. */
  tile: Tile;
  /** Parts that the sums over M of a pair's second product are made in, each in a plane of its own. */
  splits: number;
}

/** out, out2, a, b, b2 and what the epilogue reads beside the sums, (M, N). All but out2 may hold f16. */
export interface ProductTensors {
  out: Tensor;
  out2?: Tensor;
  a: Tensor;
  b: Tensor;
  b2?: Tensor;
  extra?: Tensor;
}

/** Tiles of matmul_wide.wgsl, the one with the fewest loads first. */
export const WIDE_TILES = [
  [128, 128],
  [128, 64],
  [64, 128],
  [64, 64],
] as const;
const TILE = [64, 64] as const;
/** Rows, and as many columns, that a subgroup of matmul_lanes.wgsl makes for each of its lanes. */
const LANE_TILE = 4;

/** Tiles of matmul_matrix.wgsl, and how many subgroups make them, along m and n; the largest one first. */
export const MATRIX_TILES = [
  { tile: [256, 128], subgroups: [4, 2] },
  { tile: [128, 128], subgroups: [2, 4] },
  { tile: [128, 64], subgroups: [2, 2] },
  { tile: [64, 64], subgroups: [2, 2] },
] as const;

/** Rows that a workgroup of matmul_rows.wgsl makes. */
const FEW_ROWS = 8;

/** Workgroups that keep a GPU of any size busy. */
const ENOUGH_GROUPS = 256;
/** Sums shorter than this are not worth a plane of their own. */
const SHORTEST_PART = 256;

/**
 * Every variant that can serve a shape on a device, the one that the rule takes first.
 * @param most planes that there is room for
 */
export function productVariants(
  device: Device,
  shape: ProductShape,
  most: number,
): ProductVariant[] {
  const { M, N, K, transposed, pair, half } = shape;
  const { software } = device;
  const lanes = softwareLanes(device);
  const usual = (tile: Tile) => (pair && !software ? usualSplits(shape, tile, most) : 1);
  // The largest tile of which there are enough comes first; if there are never enough, the smallest.
  const byRule = (tiles: readonly Tile[]) => {
    const enough = (tile: Tile) => groupsOf(shape, tile, usual(tile)).total >= ENOUGH_GROUPS;
    const first = tiles.find(enough) ?? tiles.at(-1);
    return tiles.toSorted((a, b) => Number(b === first) - Number(a === first));
  };
  const kernels: Pick<ProductVariant, "kernel" | "tile">[] = [{ kernel: "matmul", tile: TILE }];
  const vectors = N % 4 === 0 && K % 4 === 0;
  if (vectors) {
    const wide = byRule(WIDE_TILES).map((tile) => ({ kernel: "matmul_wide", tile }) as const);
    if (software) kernels.push(...wide);
    else kernels.unshift(...wide);
  }
  if (lanes > 0 && (transposed ? K : N) % 4 === 0 && M * K >= 4) {
    kernels.unshift({ kernel: "matmul_lanes", tile: [LANE_TILE * lanes, LANE_TILE * lanes] });
  }
  const lines = N % 4 === 0 && (transposed ? K % 4 === 0 : (M * K) % 4 === 0 && K >= 4);
  const unit = unitFor(device, half);
  if (unit && lines) {
    const fitting = MATRIX_TILES.filter((tile) => matrixStrip(device, unit, tile) > 0);
    const tiles = byRule(fitting.map(({ tile }) => tile));
    kernels.unshift(...tiles.map((tile) => ({ kernel: "matmul_matrix", tile }) as const));
  }
  return kernels.flatMap(({ kernel, tile }) => {
    const first = usual(tile);
    const rest = [1, 2, 4, 8].filter((s) => pair && s !== first && s <= most && s <= M);
    return [first, ...rest].map((splits) => {
      const parts = splits > 1 ? `, ${splits} parts` : "";
      return { name: `${kernel} ${tile.join("x")}${parts}`, kernel, tile, splits };
    });
  });
}

/**
 * For products of so few rows that reading the weight takes longer than all else: none that training chooses, and it serves
 * no pairs. What it makes of a row does not depend on M.
 */
export function fewRowsVariant({ software }: Device): ProductVariant {
  // Barriers cost with each thread in software, and its lanes load number by number, wherever those lie.
  const Y = software ? 8 : 4;
  return { name: "matmul_rows", kernel: "matmul_rows", tile: [FEW_ROWS, Y], splits: 1 };
}

/** Where b is kept in f16 so are the operands, if there is a unit for that. */
function unitFor(device: Device, half: ProductShape["half"]): MatrixUnit | undefined {
  const rounded = half.includes("b") ? matrixUnit(device, "f16") : undefined;
  return rounded ?? matrixUnit(device, "f32");
}

/**
 * How many matrices of a row a subgroup can store at a time, all of its own or an even share of them: as many as
 * there is workgroup memory for; 0 where the device lacks memory or threads for such a tile.
 */
function matrixStrip(
  device: Device,
  unit: MatrixUnit,
  { tile: [rows, columns], subgroups: [down, across] }: (typeof MATRIX_TILES)[number],
): number {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.gpu.limits;
  const whole = (rows / down) % unit.M === 0 && (columns / across) % unit.N === 0;
  if (!whole || down * across * unit.lanes > maxComputeInvocationsPerWorkgroup) return 0;
  const width = unit.operands === "f16" ? 2 : 4;
  const tiles = width * (rows + columns) * (32 + 8);
  const line = 4 * down * across * unit.M; // of all subgroups, a number wide
  const most = columns / across / unit.N;
  const strips = Array.from({ length: most }, (_, i) => most - i).filter((n) => most % n === 0);
  return strips.find((n) => tiles + line * (n * unit.N + 4) <= maxComputeWorkgroupStorageSize) ?? 0;
}

/** Parts that give the second product enough workgroups, none of them too short. */
function usualSplits({ M, N, K }: ProductShape, [rows, columns]: Tile, most: number): number {
  const tiles = Math.ceil(K / rows) * Math.ceil(N / columns);
  let splits = 1;
  while (
    splits * 2 <= most &&
    tiles * splits < ENOUGH_GROUPS &&
    M / (splits * 2) >= SHORTEST_PART
  ) {
    splits *= 2;
  }
  return splits;
}

function groupsOf({ M, N, K, pair }: ProductShape, [rows, columns]: Tile, splits: number) {
  const across = Math.ceil(N / columns);
  const second = pair ? across * Math.ceil(K / rows) * splits : 0;
  return { second, total: across * Math.ceil(M / rows) + second };
}

/** The names of those that hold f16. */
export function halvesOf(tensors: ProductTensors): ProductShape["half"] {
  const names = Object.keys(tensors) as (keyof ProductTensors)[];
  return names.filter((name) => tensors[name]?.dtype === "f16");
}

/** Where a pair's second product goes. */
interface Second {
  /** Elements of out2 from part to part. */
  plane?: number;
  /** Whether to add it to what stands there. */
  add?: boolean;
}

/**
 * @throws RangeError if a pair's tensors are missing
 */
export function product(
  device: Device,
  shape: ProductShape,
  variant: ProductVariant,
  tensors: ProductTensors,
  second: Second = {},
): Dispatch {
  const whole = wholeProduct(device, shape, variant, tensors, second);
  const { total } = groupsOf(shape, variant.tile, variant.splits);
  const parts = (count: number) => splitGrid(device, whole, total, count);
  return { ...whole, work: { flops: productFlops(shape), parts } };
}

/** Floating-point operations, 2 to a multiply-add. */
export function productFlops({ M, N, K, pair }: ProductShape): number {
  return (pair ? 4 : 2) * M * N * K;
}

function wholeProduct(
  device: Device,
  shape: ProductShape,
  { kernel, tile, splits }: ProductVariant,
  { out, out2, a, b, b2, extra = a }: ProductTensors,
  { plane = 0, add = false }: Second,
): Dispatch {
  const { op, M, N, K, transposed, pair, epilogue } = shape;
  if (pair && !(out2 && b2)) throw new RangeError(`${op}: a pair needs out2 and b2`);
  const { second, total } = groupsOf(shape, tile, splits);
  const constants = { EPILOGUE: EPILOGUES[epilogue], PAIR: Number(pair) };
  const sizes = { M, N, K, second, splits, plane, add: Number(add), before: 0 };
  const call = {
    op,
    kernel,
    bindings: { out, out2: out2 ?? device.nothing, a, b, b2: b2 ?? b, extra },
    sizes,
    grid: gridOf(device, total),
  };
  const ALONG_K = Number(transposed);
  if (kernel === "matmul_lanes") {
    return {
      ...call,
      constants: {
        ...constants,
        LANES: tile[1] / LANE_TILE,
        ALONG_K,
        A_VECTORS: Number(K % 4 === 0),
      },
      bindings: { ...call.bindings, a_vectors: a },
    };
  }
  if (kernel === "matmul_rows") {
    if (pair || !transposed) throw new RangeError(`${op}: ${kernel} makes no such product`);
    const vectors = K % 4 === 0; // else a tensor may be smaller than a vector
    const vectorsOf = (tensor: Tensor) =>
      vectors ? tensor : { ...device.nothing, dtype: tensor.dtype };
    return {
      ...call,
      constants: {
        EPILOGUE: constants.EPILOGUE,
        X: device.software ? 1 : 32,
        Y: tile[1],
        VECTORS: Number(vectors),
      },
      bindings: { out, a, a_vectors: vectorsOf(a), b, b_vectors: vectorsOf(b), extra },
    };
  }
  if (kernel === "matmul_matrix") {
    const unit = unitFor(device, shape.half)!;
    const [TILE_M, TILE_N] = tile;
    const shared = MATRIX_TILES.find(
      ({ tile: [rows, columns] }) => rows === TILE_M && columns === TILE_N,
    )!;
    const [DOWN, ACROSS] = shared.subgroups;
    const WHOLE = Number(unit.operands === "f32");
    const given = { TILE_M, TILE_N, DOWN, ACROSS, STRIP: matrixStrip(device, unit, shared), WHOLE };
    return {
      ...call,
      constants: {
        ...constants,
        ...unitConstants(unit),
        ...given,
        ALONG_K,
        A_VECTORS: Number(K % 4 === 0),
      },
    };
  }
  if (kernel === "matmul_wide") {
    return {
      ...call,
      constants: { ...constants, TILE_M: tile[0], TILE_N: tile[1], ALONG_K },
    };
  }
  const b_strides = transposed ? { B_ROW: 1, B_COL: K } : { B_ROW: N, B_COL: 1 };
  return { ...call, constants, sizes: { ...sizes, A_ROW: K, A_COL: 1, ...b_strides } };
}
