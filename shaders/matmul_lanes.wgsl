// Matrix product for software GPUs, with B contiguous along n or along k: the same as matmul.wgsl, one or a PAIR.
//
//   out[m,n]    = sum_k a[m,k] * B[k,n]
//   out2[s,k,n] = sum_m a[m,k] * b2[m,n]       over the s-th part of m
//   B[k,n]      = b[k,n], or b[n,k] if ALONG_K
//
// A subgroup is a workgroup, so nothing passes through workgroup memory and there is no barrier. It makes
// a square tile of LANES * 4 rows and columns, in steps of 4 of what is summed over. Such a device loads
// number by number, each for the price of several products: so B comes as a 4 x 4 block a lane, and of A each
// lane loads one vector for LANES rows, which then go round by shuffles. N, or K if ALONG_K, is a multiple of 4.
// with: product_sizes, product_part, store_number
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackward(),
//   matmulActivationBackward(), matmulBackwardInput(), matmulResidualBackwardInput()

enable subgroups;

override LANES: u32 = 8u;           // the subgroup's size, 4 or 8
override ALONG_K: bool = false;     // whether B is contiguous along k
override A_VECTORS: bool = true;    // whether K is a multiple of 4

override TILE_M: u32 = LANES * 4u;
override TILE_N: u32 = LANES * 4u;

// What an array holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = f32;          // given
alias InA = f32;          // given
alias AVectors = vec4f;   // given
alias InB = vec4f;        // given
alias InB2 = vec4f;       // given
alias Extra = f32;        // given

@group(0) @binding(0) var<storage, read_write> out: array<Out>;        // (M, N)
@group(0) @binding(1) var<storage, read_write> out2: array<f32>;       // (splits, K, N)
@group(0) @binding(2) var<storage, read> a: array<InA>;                // (M, K)
@group(0) @binding(3) var<storage, read> a_vectors: array<AVectors>;   // the same
@group(0) @binding(4) var<storage, read> b: array<InB>;                // (K, N) or (N, K)
@group(0) @binding(5) var<storage, read> b2: array<InB2>;              // (M, N)
@group(0) @binding(6) var<storage, read> extra: array<Extra>;          // (M, N) or, where it is not read, any
@group(0) @binding(7) var<uniform> sizes: Sizes;

// A lane's share of LANES rows of A at four columns, zero from `end` on: four columns of row `lane`, or of
// the second product, whose A lies along its rows, four rows of a column.
fn load_a(second: bool, at: u32, k: u32, end: u32) -> vec4f {
  if (A_VECTORS && !second) { return vec4f(a_vectors[at / 4u]); }
  let columns = vec4u(k) + select(vec4u(0u, 1u, 2u, 3u), vec4u(), second);
  if (A_VECTORS) { return select(vec4f(), vec4f(a_vectors[at / 4u]), columns < vec4u(end)); }
  return select(vec4f(), vec4f(f32(a[at]), f32(a[at + 1u]), f32(a[at + 2u]), f32(a[at + 3u])), columns < vec4u(end));
}

// Rows first .. first+3 out of the lanes' shares, each as a vector of four columns.
fn rows_of(second: bool, share: vec4f, first: u32) -> mat4x4f {
  let lane = select(first, first / 4u, second);
  let step = select(1u, LANES / 4u, second);
  let lines = mat4x4f(
    subgroupShuffle(share, lane),
    subgroupShuffle(share, lane + step),
    subgroupShuffle(share, lane + 2u * step),
    subgroupShuffle(share, lane + 3u * step),
  );
  if (second) { return transpose(lines); }
  return lines;
}

// Four vectors of B.
fn block(at: vec4u, second: bool) -> mat4x4f {
  if (second) { return mat4x4f(vec4f(b2[at.x]), vec4f(b2[at.y]), vec4f(b2[at.z]), vec4f(b2[at.w])); }
  return mat4x4f(vec4f(b[at.x]), vec4f(b[at.y]), vec4f(b[at.z]), vec4f(b[at.w]));
}

// Rows k .. k+3 of B at the lane's four columns; past the last row that one again.
fn load_b(second: bool, at: u32, k: u32, end: u32) -> mat4x4f {
  if (ALONG_K) {
    return transpose(block(vec4u(0u, 1u, 2u, 3u) * sizes.K / 4u + at, false));
  }
  let rows = at + min(vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u - k)) * (sizes.N / 4u);
  return block(rows, second);
}

fn make(part: Part, second: bool, lane: u32) {
  let n = part.n0 + lane * 4u;
  let lane_row = select(lane, lane % (LANES / 4u) * 4u, second);
  let lane_column = select(0u, lane / (LANES / 4u), second);
  let row = select(sizes.K, 1u, second);      // from row to row of A
  let column = select(1u, sizes.K, second);   // and from column to column
  var a_at = (part.m0 + lane_row) * row + (part.begin + lane_column) * column;
  var b_at = select(part.begin * sizes.N + n, n * sizes.K, ALONG_K) / 4u;

  // Four rows each; with 4 lanes every other one stays unused.
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  var sum4 = mat4x4f();
  var sum5 = mat4x4f();
  var sum6 = mat4x4f();
  var sum7 = mat4x4f();
  for (var k = part.begin; k < part.end; k += 4u) {
    let b_rows = load_b(second, b_at, k, part.end);
    let a0 = load_a(second, a_at, k + lane_column, part.end);
    let a1 = load_a(second, a_at + LANES * row, k + lane_column, part.end);
    let a2 = load_a(second, a_at + LANES * 2u * row, k + lane_column, part.end);
    let a3 = load_a(second, a_at + LANES * 3u * row, k + lane_column, part.end);
    sum0 += b_rows * rows_of(second, a0, 0u);
    if (LANES == 8u) { sum1 += b_rows * rows_of(second, a0, 4u); }
    sum2 += b_rows * rows_of(second, a1, 0u);
    if (LANES == 8u) { sum3 += b_rows * rows_of(second, a1, 4u); }
    sum4 += b_rows * rows_of(second, a2, 0u);
    if (LANES == 8u) { sum5 += b_rows * rows_of(second, a2, 4u); }
    sum6 += b_rows * rows_of(second, a3, 0u);
    if (LANES == 8u) { sum7 += b_rows * rows_of(second, a3, 4u); }
    a_at += 4u * column;
    b_at += select(sizes.N, 1u, ALONG_K);
  }
  // A loop that finds the row at run time: less to compile than code for every row.
  let sums = array<mat4x4f, 8>(sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7);
  for (var r = 0u; r < LANES * 4u && part.m0 + r < part.rows; r++) {
    store_row(part, second, part.m0 + r, n, sums[r / LANES * 2u + r % LANES / 4u][r % 4u]);
  }
}

@compute @workgroup_size(LANES)
fn matmul_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = part_of(group.x + group.y * groups.x);
  if (PAIR && part.second) { make(part, true, lane); } else { make(part, false, lane); }
}
