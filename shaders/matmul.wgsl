// Matrix product: out (M, N) = A (M, K) * B (K, N), each read through any strides; and in a PAIR a second one.
//
//   out[m,n]    = sum_k a[m * A_ROW + k * A_COL] * b[k * B_ROW + n * B_COL]
//   out2[s,k,n] = sum_m a[m * A_ROW + k * A_COL] * b2[m * B_ROW + n * B_COL]   over the s-th part of m
//
// The strides make one kernel serve the products of a linear layer with a weight of (OC, C):
//   forward    out (rows, OC)  = inp (rows, C) * weight^T     B_ROW 1, B_COL C
//   backward   dinp (rows, C)  = dout (rows, OC) * weight     B_ROW C, B_COL 1
//   its pair   dweight (OC, C) = dout^T * inp (rows, C)       in planes, whose sum it is
//
// A workgroup of 16 x 16 threads makes a tile of 64 x 64 outputs, 4 x 4 a thread in named registers. Tiles
// of A and B, 16 deep, pass through workgroup memory, both depth-major. Consecutive threads load along
// whichever stride is 1. Outside the matrices zeros are loaded and nothing is stored.
// with: product_part, store_number
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackward(),
//   matmulActivationBackward(), matmulBackwardInput(), matmulResidualBackwardInput()

// What an array holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = f32;     // given
alias InA = f32;     // given
alias InB = f32;     // given
alias InB2 = f32;    // given
alias Extra = f32;   // given

struct Sizes {
  M: u32,        // rows of the first product
  N: u32,        // columns
  K: u32,        // length of its sums
  A_ROW: u32,    // stride of A between rows (m)
  A_COL: u32,    // stride of A between columns (k)
  B_ROW: u32,    // stride of B between rows
  B_COL: u32,    // stride of B between columns (n)
  second: u32,   // workgroups of the second product, which come first: their sums are longer
  splits: u32,   // parts of the second product's sums
  plane: u32,    // elements of out2 from part to part
  add: u32,      // 1 where the second product is added to what stands there, or 0
  before: u32,   // workgroups of the grid that other dispatches make
}

@group(0) @binding(0) var<storage, read_write> out: array<Out>;    // (M, N)
@group(0) @binding(1) var<storage, read_write> out2: array<f32>;   // (splits, K, N)
@group(0) @binding(2) var<storage, read> a: array<InA>;            // (M, K) by strides
@group(0) @binding(3) var<storage, read> b: array<InB>;            // (K, N) by strides
@group(0) @binding(4) var<storage, read> b2: array<InB2>;          // (M, N) by strides
@group(0) @binding(5) var<storage, read> extra: array<Extra>;      // (M, N) or, where it is not read, any
@group(0) @binding(6) var<uniform> sizes: Sizes;

const TILE = 64u;
const TILE_M = TILE;
const TILE_N = TILE;
const DEPTH = 16u;
const THREADS = 256u;
var<workgroup> a_tile: array<f32, DEPTH * TILE>;   // (k, m)
var<workgroup> b_tile: array<f32, DEPTH * TILE>;   // (k, n)

// The place in the tile that a thread loads: x along the tile's edge, y its depth.
fn place(index: u32, along_depth: bool) -> vec2u {
  if (along_depth) { return vec2u(index / DEPTH, index % DEPTH); }
  return vec2u(index % TILE, index / TILE);
}

fn load_tiles(part: Part, k0: u32, thread: u32) {
  let row = select(sizes.A_ROW, sizes.A_COL, part.second);
  let column = select(sizes.A_COL, sizes.A_ROW, part.second);
  for (var index = thread; index < DEPTH * TILE; index += THREADS) {
    let at = place(index, column == 1u);
    let m = part.m0 + at.x;
    let k = k0 + at.y;
    var value = 0.0;
    if (m < part.rows && k < part.end) { value = f32(a[m * row + k * column]); }
    a_tile[at.y * TILE + at.x] = value;
  }
  for (var index = thread; index < DEPTH * TILE; index += THREADS) {
    let at = place(index, sizes.B_ROW == 1u);
    let n = part.n0 + at.x;
    let k = k0 + at.y;
    var value = 0.0;
    if (n < sizes.N && k < part.end) {
      let index = k * sizes.B_ROW + n * sizes.B_COL;
      if (part.second) { value = f32(b2[index]); } else { value = f32(b[index]); }
    }
    b_tile[at.y * TILE + at.x] = value;
  }
}

@compute @workgroup_size(16, 16)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let part = part_of(group.x + group.y * groups.x);
  let row = local.y * 4u;
  let column = local.x * 4u;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var k0 = part.begin; k0 < part.end; k0 += DEPTH) {
    load_tiles(part, k0, thread);
    workgroupBarrier();
    let depth = min(DEPTH, part.end - k0);
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
  let m = part.m0 + row;
  let n = part.n0 + column;
  store_row(part, part.second, m, n, sum0);
  store_row(part, part.second, m + 1u, n, sum1);
  store_row(part, part.second, m + 2u, n, sum2);
  store_row(part, part.second, m + 3u, n, sum3);
}
