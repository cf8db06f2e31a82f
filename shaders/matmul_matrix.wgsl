// Matrix product on matrix units (tensor cores): the same as matmul.wgsl, one or a PAIR, with operands rounded
// to f16 and sums in f32.
//
//   out[m,n]    = sum_k f16(A[m,k]) * f16(B[k,n])     A[m,k] = a[m * K + k]
//   out2[s,k,n] = sum_m f16(A[m,k]) * f16(b2[m,n])    over the s-th part of m
//   B[k,n]      = b[k * N + n], or b[n * K + k] if ALONG_K
//
// A workgroup makes TILE_M x TILE_N outputs: DOWN x ACROSS subgroups, each ROWS x COLUMNS matrices. Tiles of
// A (m, k) and B (k, n), 32 deep, are rounded on their way into workgroup memory, where lines are padded, so
// that those of a matrix do not meet in a bank. Single elements of a matrix cannot be reached: the sums leave
// through workgroup memory. N and K are multiples of 4.
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackward(),
//   matmulActivationBackward()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const UNIT_M = 8u;    // given: rows of the device's matrices, left and result
const UNIT_N = 8u;    // given: columns, right and result
const UNIT_K = 8u;    // given: columns of the left, rows of the right
const TILE_M = 64u;   // given: 64 or 128
const TILE_N = 64u;   // given: 64 or 128
const DOWN = 2u;      // given: subgroups along m
const ACROSS = 2u;    // given: subgroups along n

override LANES: u32 = 8u;          // the subgroup's size
override ALONG_K: bool = false;    // whether B is contiguous along k
override EPILOGUE: u32 = 0u;       // what becomes of the first product's sums before they are stored, see below
override PAIR: bool = false;       // whether the second product is made too

// What an array holds: numbers in f32, or in f16.
alias Out = f32;      // given
alias InA = vec4f;    // given
alias InB = vec4f;    // given
alias InB2 = vec4f;   // given
alias Extra = f32;    // given

struct Sizes {
  M: u32,        // rows of the first product
  N: u32,        // columns
  K: u32,        // length of its sums
  first: u32,    // workgroups of the first product; those of the second follow
  splits: u32,   // parts of the second product's sums
  plane: u32,    // elements of out2 from part to part
}

@group(0) @binding(0) var<storage, read_write> out: array<Out>;    // (M, N)
@group(0) @binding(1) var<storage, read_write> out2: array<f32>;   // (splits, K, N)
@group(0) @binding(2) var<storage, read> a: array<InA>;            // (M, K)
@group(0) @binding(3) var<storage, read> b: array<InB>;            // (K, N) or (N, K)
@group(0) @binding(4) var<storage, read> b2: array<InB2>;          // (M, N)
@group(0) @binding(5) var<storage, read> extra: array<Extra>;      // (M, N) or, where it is not read, any
@group(0) @binding(6) var<uniform> sizes: Sizes;

const ROWS = TILE_M / DOWN / UNIT_M;
const COLUMNS = TILE_N / ACROSS / UNIT_N;
const DEPTH = 32u;
const A_PITCH = DEPTH + 8u;
const B_PITCH = TILE_N + 8u;
var<workgroup> a_tile: array<f16, TILE_M * A_PITCH>;   // (m, k)
var<workgroup> b_tile: array<f16, DEPTH * B_PITCH>;    // (k, n)
var<workgroup> sums: array<f32, DOWN * ACROSS * UNIT_M * UNIT_N>;   // a matrix of each subgroup

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
  let across = (sizes.N + TILE_N - 1u) / TILE_N;
  if (!PAIR || index < sizes.first) {
    return Part(false, sizes.M, index / across * TILE_M, index % across * TILE_N, 0u, sizes.K, 0u);
  }
  let tiles = across * ((sizes.K + TILE_M - 1u) / TILE_M);
  let split = (index - sizes.first) / tiles;
  let tile = (index - sizes.first) % tiles;
  let length = (sizes.M + sizes.splits - 1u) / sizes.splits;
  let rows = select(0u, sizes.K, split < sizes.splits);   // none in a workgroup too many
  let end = min((split + 1u) * length, sizes.M);
  return Part(true, rows, tile / across * TILE_M, tile % across * TILE_N, split * length, end, split * sizes.plane);
}

// Four numbers of a line, or zeros unless they are inside.
fn masked(vector: vec4h, inside: bool) -> vec4h { return select(vec4h(), vector, inside); }

// Line `line` of a tile's source and its vector `x`: at (line, 4x) of the tile, or at (4x, line) if turned.
struct Place { line: u32, x: u32 }
fn place(index: u32, length: u32) -> Place { return Place(index / (length / 4u), index % (length / 4u)); }

fn stage_a(part: Part, k0: u32, thread: u32, threads: u32) {
  if (part.second) {
    for (var index = thread; index < DEPTH * TILE_M / 4u; index += threads) {
      let at = place(index, TILE_M);
      let k = k0 + at.line;
      let m = part.m0 + at.x * 4u;
      let source = (min(k, sizes.M - 1u) * sizes.K + min(m, sizes.K - 4u)) / 4u;
      let vector = masked(vec4h(a[source]), k < part.end && m < part.rows);
      for (var i = 0u; i < 4u; i++) { a_tile[(at.x * 4u + i) * A_PITCH + at.line] = vector[i]; }
    }
    return;
  }
  for (var index = thread; index < TILE_M * DEPTH / 4u; index += threads) {
    let at = place(index, DEPTH);
    let m = part.m0 + at.line;
    let k = k0 + at.x * 4u;
    let source = (min(m, sizes.M - 1u) * sizes.K + min(k, sizes.K - 4u)) / 4u;
    let vector = masked(vec4h(a[source]), m < part.rows && k < part.end);
    for (var i = 0u; i < 4u; i++) { a_tile[at.line * A_PITCH + at.x * 4u + i] = vector[i]; }
  }
}

fn stage_b(part: Part, k0: u32, thread: u32, threads: u32) {
  if (ALONG_K && !part.second) {
    for (var index = thread; index < TILE_N * DEPTH / 4u; index += threads) {
      let at = place(index, DEPTH);
      let n = part.n0 + at.line;
      let k = k0 + at.x * 4u;
      let source = (min(n, sizes.N - 1u) * sizes.K + min(k, sizes.K - 4u)) / 4u;
      let vector = masked(vec4h(b[source]), n < sizes.N && k < part.end);
      for (var i = 0u; i < 4u; i++) { b_tile[(at.x * 4u + i) * B_PITCH + at.line] = vector[i]; }
    }
    return;
  }
  let lines = select(sizes.K, sizes.M, part.second);
  for (var index = thread; index < DEPTH * TILE_N / 4u; index += threads) {
    let at = place(index, TILE_N);
    let k = k0 + at.line;
    let n = part.n0 + at.x * 4u;
    let source = (min(k, lines - 1u) * sizes.N + min(n, sizes.N - 4u)) / 4u;
    let inside = k < part.end && n < sizes.N;
    var vector = vec4h();
    if (part.second) { vector = masked(vec4h(b2[source]), inside); } else { vector = masked(vec4h(b[source]), inside); }
    for (var i = 0u; i < 4u; i++) { b_tile[at.line * B_PITCH + at.x * 4u + i] = vector[i]; }
  }
}

// What becomes of a sum before it is stored (EPILOGUE); residual and gradients read extra.
const RESIDUAL = 1u;                // + extra
const RELU = 2u;                    // max(sum, 0)
const RELU_SQUARED = 3u;            // max(sum, 0)^2
const RELU_BACKWARD = 4u;           // * relu'(x), where extra = relu(x)
const RELU_SQUARED_BACKWARD = 5u;   // * 2 relu(x), where extra = relu(x)^2

fn finish(sum: f32, at: u32) -> f32 {
  if (EPILOGUE == RESIDUAL) { return sum + f32(extra[at]); }
  if (EPILOGUE == RELU) { return max(sum, 0.0); }
  if (EPILOGUE == RELU_SQUARED) { return max(sum, 0.0) * max(sum, 0.0); }
  if (EPILOGUE == RELU_BACKWARD) { return select(0.0, sum, f32(extra[at]) > 0.0); }
  if (EPILOGUE == RELU_SQUARED_BACKWARD) { return sum * 2.0 * sqrt(f32(extra[at])); }
  return sum;
}

fn store(part: Part, m: u32, n: u32, sum: f32) {
  if (m >= part.rows || n >= sizes.N) { return; }
  let at = m * sizes.N + n;
  if (part.second) { out2[part.plane + at] = sum; } else { out[at] = Out(finish(sum, at)); }
}

@compute @workgroup_size(LANES * DOWN * ACROSS)
fn matmul_matrix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = part_of(group.x + group.y * groups.x);
  let threads = LANES * DOWN * ACROSS;
  let row = subgroup / ACROSS * ROWS * UNIT_M;           // of the tile, where the subgroup's matrices begin
  let column = subgroup % ACROSS * COLUMNS * UNIT_N;
  var matrices: array<array<subgroup_matrix_result<f32, UNIT_N, UNIT_M>, COLUMNS>, ROWS>;
  for (var k0 = part.begin; k0 < part.end; k0 += DEPTH) {
    stage_a(part, k0, thread, threads);
    stage_b(part, k0, thread, threads);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k += UNIT_K) {
      var rights: array<subgroup_matrix_right<f16, UNIT_N, UNIT_K>, COLUMNS>;
      for (var j = 0u; j < COLUMNS; j++) {
        let at = k * B_PITCH + column + j * UNIT_N;
        rights[j] = subgroupMatrixLoad<subgroup_matrix_right<f16, UNIT_N, UNIT_K>, row_major>(&b_tile, at, B_PITCH);
      }
      for (var i = 0u; i < ROWS; i++) {
        let at = (row + i * UNIT_M) * A_PITCH + k;
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, UNIT_K, UNIT_M>, row_major>(&a_tile, at, A_PITCH);
        for (var j = 0u; j < COLUMNS; j++) {
          matrices[i][j] = subgroupMatrixMultiplyAccumulate(left, rights[j], matrices[i][j]);
        }
      }
    }
    workgroupBarrier();
  }
  let base = subgroup * UNIT_M * UNIT_N;
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLUMNS; j++) {
      subgroupMatrixStore<row_major>(&sums, base, matrices[i][j], UNIT_N);
      workgroupBarrier();
      for (var at = lane; at < UNIT_M * UNIT_N; at += LANES) {
        let m = part.m0 + row + i * UNIT_M + at / UNIT_N;
        let n = part.n0 + column + j * UNIT_N + at % UNIT_N;
        store(part, m, n, sums[base + at]);
      }
      workgroupBarrier();
    }
  }
}
