// Matrix product for software GPUs: out (M, N) = A (M, K) * B (K, N), with B contiguous along n or along k.
//
//   out[m,n] = sum_k a[m * A_ROW + k * A_COL] * B[k,n]
//   B[k,n]   = b[k * B_LINE + n], or b[n * B_LINE + k] if ALONG_K
//
// A subgroup is a workgroup, so nothing passes through workgroup memory and there is no barrier. It makes
// 12 rows of LANES * 4 columns: each lane 12 x 4 outputs in three 4 x 4 matrices, whose columns are
// vectors of four rows. In steps of LANES in k, each lane loads one k of all 12 rows of A, which then goes
// round by shuffles, and B by whole vectors. N, or K if ALONG_K, is a multiple of 4.
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackwardInput(),
//   matmulActivationBackwardInput(), matmulBackwardWeight()

enable subgroups;

override LANES: u32 = 8u;          // the subgroup's size, 4 or 8
override ALONG_K: bool = false;    // whether B is contiguous along k
override EPILOGUE: u32 = 0u;       // what becomes of a sum before it is stored, see below

struct Sizes {
  M: u32,        // rows of the result
  N: u32,        // columns of the result
  K: u32,        // length of the sums
  A_ROW: u32,    // stride of A between rows (m)
  A_COL: u32,    // stride of A between columns (k)
  B_LINE: u32,   // stride of B between its contiguous lines
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (M, N)
@group(0) @binding(1) var<storage, read> a: array<f32>;           // (M, K) by strides
@group(0) @binding(2) var<storage, read> b: array<vec4f>;         // (K, N) or (N, K)
@group(0) @binding(3) var<storage, read> extra: array<f32>;       // (M, N) or, where it is not read, any
@group(0) @binding(4) var<uniform> sizes: Sizes;

// Four rows of A from m on, at column k; zeros where k is past the end.
fn load_a(m: u32, k: u32) -> vec4f {
  let row = min(vec4u(m) + vec4u(0u, 1u, 2u, 3u), vec4u(sizes.M - 1u)) * sizes.A_ROW;
  let at = row + min(k, sizes.K - 1u) * sizes.A_COL;
  return select(vec4f(), vec4f(a[at.x], a[at.y], a[at.z], a[at.w]), k < sizes.K);
}

// B[k .. k+3, n .. n+3] as four rows.
fn load_b(k: u32, n: u32) -> mat4x4f {
  if (ALONG_K) {
    let line = min(vec4u(n) + vec4u(0u, 1u, 2u, 3u), vec4u(sizes.N - 1u)) * sizes.B_LINE;
    let at = (line + min(k, sizes.K - 4u)) / 4u;
    return transpose(mat4x4f(b[at.x], b[at.y], b[at.z], b[at.w]));
  }
  let line = min(vec4u(k) + vec4u(0u, 1u, 2u, 3u), vec4u(sizes.K - 1u)) * sizes.B_LINE;
  let at = (line + min(n, sizes.N - 4u)) / 4u;
  return mat4x4f(b[at.x], b[at.y], b[at.z], b[at.w]);
}

// sum + rows * columns, an outer product.
fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(rows, vec4f(columns.x), sum[0]),
    fma(rows, vec4f(columns.y), sum[1]),
    fma(rows, vec4f(columns.z), sum[2]),
    fma(rows, vec4f(columns.w), sum[3]),
  );
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

fn store(m: u32, n: u32, sum: mat4x4f) {
  let rows = transpose(sum);
  for (var r = 0u; r < 4u; r++) {
    if (m + r >= sizes.M) { return; }
    let at = (m + r) * sizes.N + n;
    if (n < sizes.N) { out[at] = finish(rows[r].x, at); }
    if (n + 1u < sizes.N) { out[at + 1u] = finish(rows[r].y, at + 1u); }
    if (n + 2u < sizes.N) { out[at + 2u] = finish(rows[r].z, at + 2u); }
    if (n + 3u < sizes.N) { out[at + 3u] = finish(rows[r].w, at + 3u); }
  }
}

@compute @workgroup_size(LANES)
fn matmul_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m = group.y * 12u;
  let n = (group.x * LANES + lane) * 4u;
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  for (var k0 = 0u; k0 < sizes.K; k0 += LANES) {
    let a0 = load_a(m, k0 + lane);
    let a1 = load_a(m + 4u, k0 + lane);
    let a2 = load_a(m + 8u, k0 + lane);
    for (var i = 0u; i < LANES; i += 4u) {
      let columns = load_b(k0 + i, n);
      for (var q = 0u; q < 4u; q++) {
        sum0 = add_outer(sum0, subgroupShuffle(a0, i + q), columns[q]);
        sum1 = add_outer(sum1, subgroupShuffle(a1, i + q), columns[q]);
        sum2 = add_outer(sum2, subgroupShuffle(a2, i + q), columns[q]);
      }
    }
  }
  store(m, n, sum0);
  store(m + 4u, n, sum1);
  store(m + 8u, n, sum2);
}
