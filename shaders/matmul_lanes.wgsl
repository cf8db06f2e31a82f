// Matrix product for software GPUs, with B contiguous along n or along k: the same as matmul.wgsl, one or a PAIR.
//
//   out[m,n]    = sum_k A[m,k] * B[k,n]        A[m,k] = a[m * A_ROW + k * A_COL]
//   out2[s,k,n] = sum_m A[m,k] * b2[m,n]       over the s-th part of m
//   B[k,n]      = b[k * B_LINE + n], or b[n * B_LINE + k] if ALONG_K
//
// A subgroup is a workgroup, so nothing passes through workgroup memory and there is no barrier. It makes
// 12 rows of LANES * 4 columns: each lane 12 x 4 outputs in three 4 x 4 matrices, whose columns are
// vectors of four rows. In steps of LANES in k, each lane loads one k of all 12 rows of A, which then goes
// round by shuffles, and B by whole vectors. N, or K if ALONG_K, is a multiple of 4.
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackward(),
//   matmulActivationBackward()

enable subgroups;

override LANES: u32 = 8u;          // the subgroup's size, 4 or 8
override ALONG_K: bool = false;    // whether B is contiguous along k
override EPILOGUE: u32 = 0u;       // what becomes of the first product's sums before they are stored, see below
override PAIR: bool = false;       // whether the second product is made too

struct Sizes {
  M: u32,        // rows of the first product
  N: u32,        // columns
  K: u32,        // length of its sums
  A_ROW: u32,    // stride of A between rows (m)
  A_COL: u32,    // stride of A between columns (k)
  B_LINE: u32,   // stride of B between its contiguous lines
  first: u32,    // workgroups of the first product; those of the second follow
  splits: u32,   // parts of the second product's sums
  plane: u32,    // elements of out2 from part to part
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;    // (M, N)
@group(0) @binding(1) var<storage, read_write> out2: array<f32>;   // (splits, K, N)
@group(0) @binding(2) var<storage, read> a: array<f32>;            // (M, K) by strides
@group(0) @binding(3) var<storage, read> b: array<vec4f>;          // (K, N) or (N, K)
@group(0) @binding(4) var<storage, read> b2: array<vec4f>;         // (M, N)
@group(0) @binding(5) var<storage, read> extra: array<f32>;        // (M, N) or, where it is not read, any
@group(0) @binding(6) var<uniform> sizes: Sizes;

// What a workgroup makes: a tile of one product, from a part of its sums.
struct Part {
  second: bool,
  rows: u32,       // of the product
  m0: u32,         // the tile's first row
  n0: u32,         // and column
  begin: u32,      // of the sums
  end: u32,
  plane: u32,      // where the part begins in the output
}

fn part_of(index: u32) -> Part {
  let width = LANES * 4u;
  let across = (sizes.N + width - 1u) / width;
  if (!PAIR || index < sizes.first) {
    return Part(false, sizes.M, index / across * 12u, index % across * width, 0u, sizes.K, 0u);
  }
  let tiles = across * ((sizes.K + 11u) / 12u);
  let split = (index - sizes.first) / tiles;
  let tile = (index - sizes.first) % tiles;
  let length = (sizes.M + sizes.splits - 1u) / sizes.splits;
  let rows = select(0u, sizes.K, split < sizes.splits);   // none in a workgroup too many
  let end = min((split + 1u) * length, sizes.M);
  return Part(true, rows, tile / across * 12u, tile % across * width, split * length, end, split * sizes.plane);
}

// Four rows of A from m on, at column k; zeros where k is past the end.
fn load_a(part: Part, m: u32, k: u32) -> vec4f {
  let row_stride = select(sizes.A_ROW, sizes.A_COL, part.second);
  let column_stride = select(sizes.A_COL, sizes.A_ROW, part.second);
  let row = min(vec4u(m) + vec4u(0u, 1u, 2u, 3u), vec4u(part.rows - 1u)) * row_stride;
  let at = row + min(k, part.end - 1u) * column_stride;
  return select(vec4f(), vec4f(a[at.x], a[at.y], a[at.z], a[at.w]), k < part.end);
}

// B[k .. k+3, n .. n+3] as four rows.
fn load_b(part: Part, k: u32, n: u32) -> mat4x4f {
  if (ALONG_K) {
    let line = min(vec4u(n) + vec4u(0u, 1u, 2u, 3u), vec4u(sizes.N - 1u)) * sizes.B_LINE;
    let at = (line + min(k, sizes.K - 4u)) / 4u;
    return transpose(mat4x4f(b[at.x], b[at.y], b[at.z], b[at.w]));
  }
  let line = min(vec4u(k) + vec4u(0u, 1u, 2u, 3u), vec4u(part.end - 1u)) * sizes.B_LINE;
  let at = (line + min(n, sizes.N - 4u)) / 4u;
  if (PAIR && part.second) { return mat4x4f(b2[at.x], b2[at.y], b2[at.z], b2[at.w]); }
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

fn store_one(part: Part, m: u32, n: u32, sum: f32) {
  if (n >= sizes.N) { return; }
  let at = m * sizes.N + n;
  if (PAIR && part.second) { out2[part.plane + at] = sum; } else { out[at] = finish(sum, at); }
}

fn store(part: Part, m: u32, n: u32, sum: mat4x4f) {
  let rows = transpose(sum);
  for (var r = 0u; r < 4u; r++) {
    if (m + r >= part.rows) { return; }
    store_one(part, m + r, n, rows[r].x);
    store_one(part, m + r, n + 1u, rows[r].y);
    store_one(part, m + r, n + 2u, rows[r].z);
    store_one(part, m + r, n + 3u, rows[r].w);
  }
}

@compute @workgroup_size(LANES)
fn matmul_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = part_of(group.x + group.y * groups.x);
  let m = part.m0;
  let n = part.n0 + lane * 4u;
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  for (var k0 = part.begin; k0 < part.end; k0 += LANES) {
    let a0 = load_a(part, m, k0 + lane);
    let a1 = load_a(part, m + 4u, k0 + lane);
    let a2 = load_a(part, m + 8u, k0 + lane);
    for (var i = 0u; i < LANES; i += 4u) {
      let columns = load_b(part, k0 + i, n);
      for (var q = 0u; q < 4u; q++) {
        sum0 = add_outer(sum0, subgroupShuffle(a0, i + q), columns[q]);
        sum1 = add_outer(sum1, subgroupShuffle(a1, i + q), columns[q]);
        sum2 = add_outer(sum2, subgroupShuffle(a2, i + q), columns[q]);
      }
    }
  }
  store(part, m, n, sum0);
  store(part, m + 4u, n, sum1);
  store(part, m + 8u, n, sum2);
}
