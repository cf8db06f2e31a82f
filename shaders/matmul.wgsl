// Matrix product: out (M, N) = A (M, K) * B (K, N), either one read through any strides.
//
//   out[m,n] = sum_k a[m * A_ROW + k * A_COL] * b[k * B_ROW + n * B_COL]
//
// The strides make one kernel serve the three products of a linear layer with a weight of (OC, C):
//   forward           out (rows, OC)   = inp (rows, C) * weight^T     B_ROW 1, B_COL C
//   backward, input   dinp (rows, C)   = dout (rows, OC) * weight     B_ROW C, B_COL 1
//   backward, weight  dweight (OC, C)  = dout^T * inp (rows, C)       A_ROW 1, A_COL OC
//
// A workgroup of 16 x 16 threads makes a tile of 64 x 64 outputs, 4 x 4 a thread in named registers.
// Tiles of A and B, 16 deep in k, pass through workgroup memory, both stored k-major. Consecutive
// threads load along whichever stride is 1. Outside the matrices zeros are loaded and nothing is stored.
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackwardInput(),
//   matmulActivationBackwardInput(), matmulBackwardWeight()

override EPILOGUE: u32 = 0u;   // what becomes of a sum before it is stored, see below

struct Sizes {
  M: u32,       // rows of the result
  N: u32,       // columns of the result
  K: u32,       // length of the sums
  A_ROW: u32,   // stride of A between rows (m)
  A_COL: u32,   // stride of A between columns (k)
  B_ROW: u32,   // stride of B between rows (k)
  B_COL: u32,   // stride of B between columns (n)
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (M, N)
@group(0) @binding(1) var<storage, read> a: array<f32>;           // (M, K) by strides
@group(0) @binding(2) var<storage, read> b: array<f32>;           // (K, N) by strides
@group(0) @binding(3) var<storage, read> extra: array<f32>;       // (M, N) or, where it is not read, any
@group(0) @binding(4) var<uniform> sizes: Sizes;

const TILE = 64u;
const DEPTH = 16u;
const THREADS = 256u;
var<workgroup> a_tile: array<f32, DEPTH * TILE>;   // (k, m)
var<workgroup> b_tile: array<f32, DEPTH * TILE>;   // (k, n)

// The place in the tile that a thread loads: x along the tile's edge, y its depth in k.
fn place(index: u32, along_k: bool) -> vec2u {
  if (along_k) { return vec2u(index / DEPTH, index % DEPTH); }
  return vec2u(index % TILE, index / TILE);
}

fn load_tiles(m0: u32, n0: u32, k0: u32, thread: u32) {
  for (var index = thread; index < DEPTH * TILE; index += THREADS) {
    let at = place(index, sizes.A_COL == 1u);
    let m = m0 + at.x;
    let k = k0 + at.y;
    var value = 0.0;
    if (m < sizes.M && k < sizes.K) { value = a[m * sizes.A_ROW + k * sizes.A_COL]; }
    a_tile[at.y * TILE + at.x] = value;
  }
  for (var index = thread; index < DEPTH * TILE; index += THREADS) {
    let at = place(index, sizes.B_ROW == 1u);
    let n = n0 + at.x;
    let k = k0 + at.y;
    var value = 0.0;
    if (n < sizes.N && k < sizes.K) { value = b[k * sizes.B_ROW + n * sizes.B_COL]; }
    b_tile[at.y * TILE + at.x] = value;
  }
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

fn store_row(m: u32, n: u32, values: vec4f) {
  if (m >= sizes.M) { return; }
  let at = m * sizes.N + n;
  if (n < sizes.N) { out[at] = finish(values.x, at); }
  if (n + 1u < sizes.N) { out[at + 1u] = finish(values.y, at + 1u); }
  if (n + 2u < sizes.N) { out[at + 2u] = finish(values.z, at + 2u); }
  if (n + 3u < sizes.N) { out[at + 3u] = finish(values.w, at + 3u); }
}

@compute @workgroup_size(16, 16)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n0 = group.x * TILE;
  let m0 = group.y * TILE;
  let row = local.y * 4u;
  let column = local.x * 4u;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var k0 = 0u; k0 < sizes.K; k0 += DEPTH) {
    load_tiles(m0, n0, k0, thread);
    workgroupBarrier();
    let depth = min(DEPTH, sizes.K - k0);
    for (var k = 0u; k < depth; k++) {
      let p = k * TILE + row;
      let q = k * TILE + column;
      let bs = vec4f(b_tile[q], b_tile[q + 1u], b_tile[q + 2u], b_tile[q + 3u]);
      sum0 += a_tile[p] * bs;
      sum1 += a_tile[p + 1u] * bs;
      sum2 += a_tile[p + 2u] * bs;
      sum3 += a_tile[p + 3u] * bs;
    }
    workgroupBarrier();
  }
  store_row(m0 + row, n0 + column, sum0);
  store_row(m0 + row + 1u, n0 + column, sum1);
  store_row(m0 + row + 2u, n0 + column, sum2);
  store_row(m0 + row + 3u, n0 + column, sum3);
}
