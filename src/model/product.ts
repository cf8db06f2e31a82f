// One matrix product as a dispatch: which kernel serves it, and what becomes of its sums.

import type { Dispatch } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";

/** Rows and columns that a workgroup of matmul.wgsl makes. */
const TILE = 64;
/** Rows that a subgroup of matmul_lanes.wgsl makes, and columns a lane. */
const LANE_ROWS = 12;
const LANE_COLUMNS = 4;

/** What a kernel makes of its sums before it stores them, as the WGSL numbers it. */
const EPILOGUES = {
  none: 0,
  residual: 1,
  relu: 2,
  relu_squared: 3,
  relu_backward: 4,
  relu_squared_backward: 5,
} as const;

/**
 * out (M, N) = a (M, K) · b (K, N), each read by its strides [row, column].
 * @param lanes subgroup size of a software GPU, 0 on every other device
 * @param extra (M, N) what the epilogue reads beside the sums
 */
export function product(
  lanes: number,
  op: string,
  [out, a, b]: [Tensor, Tensor, Tensor],
  [M, N, K]: [number, number, number],
  [A_ROW, A_COL]: [number, number],
  [B_ROW, B_COL]: [number, number],
  epilogue: keyof typeof EPILOGUES = "none",
  extra = a,
): Dispatch {
  const bindings = { out, a, b, extra };
  const EPILOGUE = EPILOGUES[epilogue];
  const alongK = B_ROW === 1;
  if (lanes > 0 && (alongK ? K : N) % LANE_COLUMNS === 0) {
    return {
      op,
      kernel: "matmul_lanes",
      constants: { LANES: lanes, ALONG_K: Number(alongK), EPILOGUE },
      sizes: { M, N, K, A_ROW, A_COL, B_LINE: alongK ? B_COL : B_ROW },
      bindings,
      grid: [Math.ceil(N / (lanes * LANE_COLUMNS)), Math.ceil(M / LANE_ROWS), 1],
    };
  }
  return {
    op,
    kernel: "matmul",
    constants: { EPILOGUE },
    sizes: { M, N, K, A_ROW, A_COL, B_ROW, B_COL },
    bindings,
    grid: [Math.ceil(N / TILE), Math.ceil(M / TILE), 1],
  };
}
