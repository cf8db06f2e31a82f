// Matrix product for software GPUs: out (M, N) = A (M, K) * B (K, N), each operand contiguous one way or the other.
//
//   out[m,n] = sum_k A[m,k] * B[k,n]
//   A[m,k]   = a[m * A_LINE + k], or a[k * A_LINE + m] if A_ALONG_M
//   B[k,n]   = b[n * B_LINE + k], or b[k * B_LINE + n] if B_ALONG_N
//
// A subgroup is a workgroup, so nothing passes through workgroup memory and there is no barrier. It makes
// 3 * LANES rows of LANES * 4 columns, in steps of 4 k. On such a device a load costs as much as dozens of
// products, for each lane and number by itself: so B comes by vectors, a 4 x 4 block a lane, and A by one
// vector a lane for LANES rows, which then go round by shuffles. What lies past the end of A's k counts as 0,
// and what is read past the end otherwise counts for nothing. B_LINE is a multiple of 4.
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackwardInput(),
//   matmulActivationBackwardInput(), matmulBackwardWeight()

enable subgroups;

override LANES: u32 = 8u;             // the subgroup's size, 4 or 8
override A_ALONG_M: bool = false;     // whether A is contiguous along m, not k
override A_VECTORS: bool = true;      // whether A_LINE is a multiple of 4
override B_ALONG_N: bool = false;     // whether B is contiguous along n, not k
override EPILOGUE: u32 = 0u;          // what becomes of a sum before it is stored, see below

struct Sizes {
  M: u32,        // rows of the result
  N: u32,        // columns of the result
  K: u32,        // length of the sums
  A_LINE: u32,   // stride of A between its contiguous lines
  B_LINE: u32,   // stride of B between its contiguous lines
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;       // (M, N)
@group(0) @binding(1) var<storage, read> a: array<f32>;               // (M, K) or (K, M)
@group(0) @binding(2) var<storage, read> a_vectors: array<vec4f>;     // the same
@group(0) @binding(3) var<storage, read> b_vectors: array<vec4f>;     // (N, K) or (K, N)
@group(0) @binding(4) var<storage, read> extra: array<f32>;           // (M, N) or, where it is not read, any
@group(0) @binding(5) var<uniform> sizes: Sizes;

// Four of A from `at` on, which belong to columns k .. k+3, or all to column k if A_ALONG_M.
fn load_a(at: u32, k: u32) -> vec4f {
  var four: vec4f;
  if (A_VECTORS) { four = a_vectors[at / 4u]; } else { four = vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]); }
  if (A_ALONG_M) { return select(vec4f(), four, k < sizes.K); }
  if (A_VECTORS) { return four; }
  return select(vec4f(), four, vec4u(k) + vec4u(0u, 1u, 2u, 3u) < vec4u(sizes.K));
}

// Rows first .. first+3 out of what the lanes loaded of A, each as a vector of four k.
fn rows_of(loaded: vec4f, first: u32) -> mat4x4f {
  let from_lane = select(first, first / 4u, A_ALONG_M);
  let step = select(1u, LANES / 4u, A_ALONG_M);
  let rows = mat4x4f(
    subgroupShuffle(loaded, from_lane),
    subgroupShuffle(loaded, from_lane + step),
    subgroupShuffle(loaded, from_lane + 2u * step),
    subgroupShuffle(loaded, from_lane + 3u * step),
  );
  if (A_ALONG_M) { return transpose(rows); }
  return rows;
}

// Four k of B at four columns, as four rows: past B's end the last row.
fn load_b(at: u32, k: u32) -> mat4x4f {
  var places = vec4u(0u, 1u, 2u, 3u);
  if (B_ALONG_N) { places = min(places, vec4u(sizes.K - 1u - k)); }
  places = at + places * (sizes.B_LINE / 4u);
  let lines = mat4x4f(b_vectors[places.x], b_vectors[places.y], b_vectors[places.z], b_vectors[places.w]);
  if (B_ALONG_N) { return lines; }
  return transpose(lines);
}

// What becomes of a sum before it is stored (EPILOGUE); residual and gradients read extra.
const RESIDUAL = 1u;                // + extra
const RELU = 2u;                    // max(sum, 0)
const RELU_SQUARED = 3u;            // max(sum, 0)^2
const RELU_BACKWARD = 4u;           // * relu'(x), where extra = relu(x)
const RELU_SQUARED_BACKWARD = 5u;   // * 2 relu(x), where extra = relu(x)^2

fn finish(sum: f32, at: u32) -> f32 {
  if (EPILOGUE == RESIDUAL) { return sum + extra[at]; }
  if (EPILOGUE == RELU) { return max(sum, 0.0); }
  if (EPILOGUE == RELU_SQUARED) { return max(sum, 0.0) * max(sum, 0.0); }
  if (EPILOGUE == RELU_BACKWARD) { return select(0.0, sum, extra[at] > 0.0); }
  if (EPILOGUE == RELU_SQUARED_BACKWARD) { return sum * 2.0 * sqrt(extra[at]); }
  return sum;
}

fn store(row: vec4f, m: u32, n: u32) {
  let at = m * sizes.N + n;
  if (n < sizes.N) { out[at] = finish(row.x, at); }
  if (n + 1u < sizes.N) { out[at + 1u] = finish(row.y, at + 1u); }
  if (n + 2u < sizes.N) { out[at + 2u] = finish(row.z, at + 2u); }
  if (n + 3u < sizes.N) { out[at + 3u] = finish(row.w, at + 3u); }
}

@compute @workgroup_size(LANES)
fn matmul_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m = group.y * LANES * 3u;
  let n = (group.x * LANES + lane) * 4u;
  // Where the lane's part of A begins: a row's four k, or a column's four rows.
  let quads = LANES / 4u;
  let lane_k = select(0u, lane / quads, A_ALONG_M);
  var a_at = select((m + lane) * sizes.A_LINE, lane_k * sizes.A_LINE + m + lane % quads * 4u, A_ALONG_M);
  let a_rows = LANES * select(sizes.A_LINE, 1u, A_ALONG_M);
  let a_step = 4u * select(1u, sizes.A_LINE, A_ALONG_M);
  var b_at = select(n * sizes.B_LINE, n, B_ALONG_N) / 4u;
  let b_step = select(1u, sizes.B_LINE, B_ALONG_N);

  // sum0[r] is row m + r; from LANES 8 on each load of A has rows for two sums.
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  var sum4 = mat4x4f();
  var sum5 = mat4x4f();
  for (var k = 0u; k < sizes.K; k += 4u) {
    let b = load_b(b_at, k);
    let a0 = load_a(a_at, k + lane_k);
    sum0 += b * rows_of(a0, 0u);
    if (LANES == 8u) { sum1 += b * rows_of(a0, 4u); }
    let a1 = load_a(a_at + a_rows, k + lane_k);
    sum2 += b * rows_of(a1, 0u);
    if (LANES == 8u) { sum3 += b * rows_of(a1, 4u); }
    let a2 = load_a(a_at + 2u * a_rows, k + lane_k);
    sum4 += b * rows_of(a2, 0u);
    if (LANES == 8u) { sum5 += b * rows_of(a2, 4u); }
    a_at += a_step;
    b_at += b_step;
  }
  let sums = array<mat4x4f, 6>(sum0, sum1, sum2, sum3, sum4, sum5);
  for (var r = 0u; r < min(LANES * 3u, sizes.M - m); r++) {
    store(sums[r / LANES * 2u + r % LANES / 4u][r % 4u], m + r, n);
  }
}
