// One matrix product as a dispatch: which kernel serves it, and what becomes of its sums.

import type { Dispatch } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";

/** Rows and columns that a workgroup of matmul.wgsl makes. */
const TILE = 64;
/** Rows and columns that a subgroup of matmul_lanes.wgsl makes for each of its lanes. */
const LANE_ROWS = 3;
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
  const EPILOGUE = EPILOGUES[epilogue];
  const [aAlongM, A_LINE] = A_COL === 1 ? [false, A_ROW] : [true, A_COL];
  const [bAlongN, B_LINE] = B_ROW === 1 ? [false, B_COL] : [true, B_ROW];
  if (lanes > 0 && B_LINE % 4 === 0 && M * K >= 4) {
    const constants = {
      LANES: lanes,
      A_ALONG_M: Number(aAlongM),
      A_VECTORS: Number(A_LINE % 4 === 0),
      B_ALONG_N: Number(bAlongN),
      EPILOGUE,
    };
    return {
      op,
      kernel: "matmul_lanes",
      constants,
      sizes: { M, N, K, A_LINE, B_LINE },
      bindings: { out, a, a_vectors: a, b_vectors: b, extra },
      grid: [Math.ceil(N / (lanes * LANE_COLUMNS)), Math.ceil(M / (lanes * LANE_ROWS)), 1],
    };
  }
  return {
    op,
    kernel: "matmul",
    constants: { EPILOGUE },
    sizes: { M, N, K, A_ROW, A_COL, B_ROW, B_COL },
    bindings: { out, a, b, extra },
    grid: [Math.ceil(N / TILE), Math.ceil(M / TILE), 1],
  };
}
