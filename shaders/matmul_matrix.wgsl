// Matrix product on matrix units (tensor cores): the same as matmul.wgsl, one or a PAIR, with operands rounded
// to f16 and sums in f32; where the units multiply f32 (WHOLE), nothing is rounded.
//
//   out[m,n]    = sum_k f16(A[m,k]) * f16(B[k,n])     A[m,k] = a[m * K + k]
//   out2[s,k,n] = sum_m f16(A[m,k]) * f16(b2[m,n])    over the s-th part of m
//   B[k,n]      = b[k * N + n], or b[n * K + k] if ALONG_K
//
// A workgroup makes TILE_M x TILE_N outputs: DOWN x ACROSS subgroups, each ROWS x COLUMNS matrices. Tiles of
// A and B, 32 deep, pass through workgroup memory as they lie in storage: lines along the depth or along the
// tile's edge, which the matrices are then loaded from row by row or column by column. Lines are padded, so that
// those of a matrix do not meet in a bank. A thread holds its vectors of the next tile in registers while this
// one is used. Single elements of a matrix cannot be reached: the sums leave through workgroup memory. Vectors
// along N, and along K where B runs, are whole; lines of A may begin within one, if all of A is whole vectors.
// with: product_sizes, product_part, store_vector, matrix_units
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackward(),
//   matmulActivationBackward(), matmulBackwardInput(), matmulResidualBackwardInput()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const TILE_M = 64u;   // given: 64, 128 or 256
const TILE_N = 64u;   // given: 64, 128 or 256
const DOWN = 2u;      // given: subgroups along m
const ACROSS = 2u;    // given: subgroups along n
const STRIP = 1u;     // given: a subgroup's matrices of a row that leave at a time, a divisor of COLUMNS

override ALONG_K: bool = false;    // whether B is contiguous along k
override A_VECTORS: bool = true;   // whether K is a multiple of 4

// What an array holds: numbers in f32, or in f16.
alias Out = vec4f;    // given
alias InA = vec4f;    // given
alias InB = vec4f;    // given
alias InB2 = vec4f;   // given
alias Extra = vec4f;  // given

@group(0) @binding(0) var<storage, read_write> out: array<Out>;    // (M, N)
@group(0) @binding(1) var<storage, read_write> out2: array<vec4f>; // (splits, K, N)
@group(0) @binding(2) var<storage, read> a: array<InA>;            // (M, K)
@group(0) @binding(3) var<storage, read> b: array<InB>;            // (K, N) or (N, K)
@group(0) @binding(4) var<storage, read> b2: array<InB2>;          // (M, N)
@group(0) @binding(5) var<storage, read> extra: array<Extra>;      // (M, N) or, where it is not read, any
@group(0) @binding(6) var<uniform> sizes: Sizes;

const ROWS = TILE_M / DOWN / UNIT_M;
const COLUMNS = TILE_N / ACROSS / UNIT_N;
const THREADS = LANES * DOWN * ACROSS;
const DEPTH = 32u;
const A_LOADS = TILE_M * DEPTH / 4u / THREADS;   // vectors of a tile that a thread loads
const B_LOADS = TILE_N * DEPTH / 4u / THREADS;
// Lines are counted in vectors, two of which pad each.
const PITCH_K = DEPTH / 4u + 2u;
const PITCH_M = TILE_M / 4u + 2u;
const PITCH_N = TILE_N / 4u + 2u;
var<workgroup> a_tile: array<Vector, max(TILE_M * PITCH_K, DEPTH * PITCH_M)>;   // (m, k), of the second product (k, m)
var<workgroup> b_tile: array<Vector, max(TILE_N * PITCH_K, DEPTH * PITCH_N)>;   // (k, n), where B runs along k (n, k)
const LENGTH = UNIT_N * STRIP / 4u;   // of a strip's lines, which are padded by a vector
var<workgroup> sums: array<vec4f, DOWN * ACROSS * UNIT_M * (LENGTH + 1u)>;   // a strip of each subgroup

// Whether B's tile has lines along k.
fn along_k(part: Part) -> bool { return ALONG_K && !part.second; }

// Line and place in it of a tile's vector, where a line has `length` numbers.
struct Place { line: u32, at: u32 }
fn place(index: u32, length: u32) -> Place { return Place(index / (length / 4u), index % (length / 4u) * 4u); }

// Four numbers of a line of a, of which those past its end are zero.
fn a_vector(row: u32, column: u32) -> Vector {
  if (A_VECTORS) { return Vector(a[(row * sizes.K + min(column, sizes.K - 4u)) / 4u]); }
  let at = row * sizes.K + min(column, sizes.K - 1u);
  let near = Vector(a[at / 4u]);
  let far = Vector(a[min(at / 4u + 1u, arrayLength(&a) - 1u)]);
  var vector = near;
  switch (at % 4u) {
    case 1u: { vector = Vector(near.yzw, far.x); }
    case 2u: { vector = Vector(near.zw, far.xy); }
    case 3u: { vector = Vector(near.w, far.xyz); }
    default: {}
  }
  return select(Vector(), vector, column + vec4u(0u, 1u, 2u, 3u) < vec4u(sizes.K));
}

fn load_a(part: Part, k0: u32, index: u32) -> Vector {
  let p = place(index, select(DEPTH, TILE_M, part.second));
  let m = part.m0 + select(p.line, p.at, part.second);
  let k = k0 + select(p.at, p.line, part.second);
  let row = min(select(m, k, part.second), sizes.M - 1u);
  let vector = a_vector(row, select(k, m, part.second));
  return select(Vector(), vector, m < part.rows && k < part.end);
}

fn load_b(part: Part, k0: u32, index: u32) -> Vector {
  let p = place(index, select(TILE_N, DEPTH, along_k(part)));
  let n = part.n0 + select(p.at, p.line, along_k(part));
  let k = k0 + select(p.line, p.at, along_k(part));
  let inside = n < sizes.N && k < part.end;
  if (part.second) {
    let source = (min(k, sizes.M - 1u) * sizes.N + min(n, sizes.N - 4u)) / 4u;
    return select(Vector(), Vector(b2[source]), inside);
  }
  if (ALONG_K) {
    let source = (min(n, sizes.N - 1u) * sizes.K + min(k, sizes.K - 4u)) / 4u;
    return select(Vector(), Vector(b[source]), inside);
  }
  let source = (min(k, sizes.K - 1u) * sizes.N + min(n, sizes.N - 4u)) / 4u;
  return select(Vector(), Vector(b[source]), inside);
}

fn store_a(part: Part, index: u32, vector: Vector) {
  let p = place(index, select(DEPTH, TILE_M, part.second));
  a_tile[p.line * select(PITCH_K, PITCH_M, part.second) + p.at / 4u] = vector;
}

fn store_b(part: Part, index: u32, vector: Vector) {
  let p = place(index, select(TILE_N, DEPTH, along_k(part)));
  b_tile[p.line * select(PITCH_N, PITCH_K, along_k(part)) + p.at / 4u] = vector;
}

// Rows m .. and columns k .. of A's tile.
fn left_at(part: Part, m: u32, k: u32) -> Left {
  if (part.second) { return subgroupMatrixLoad<Left, col_major>(&a_tile, k * PITCH_M + m / 4u, PITCH_M); }
  return subgroupMatrixLoad<Left, row_major>(&a_tile, m * PITCH_K + k / 4u, PITCH_K);
}

// Rows k .. and columns n .. of B's tile.
fn right_at(part: Part, k: u32, n: u32) -> Right {
  if (along_k(part)) { return subgroupMatrixLoad<Right, col_major>(&b_tile, n * PITCH_K + k / 4u, PITCH_K); }
  return subgroupMatrixLoad<Right, row_major>(&b_tile, k * PITCH_N + n / 4u, PITCH_N);
}

@compute @workgroup_size(THREADS)
fn matmul_matrix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = part_of(group.x + group.y * groups.x);
  let row = subgroup / ACROSS * ROWS * UNIT_M;           // of the tile, where the subgroup's matrices begin
  let column = subgroup % ACROSS * COLUMNS * UNIT_N;
  var matrices: array<array<Sums, COLUMNS>, ROWS>;
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLUMNS; j++) { matrices[i][j] = Sums(); }   // no driver need do it
  }
  var next_a: array<Vector, A_LOADS>;
  var next_b: array<Vector, B_LOADS>;
  for (var i = 0u; i < A_LOADS; i++) { next_a[i] = load_a(part, part.begin, thread + i * THREADS); }
  for (var i = 0u; i < B_LOADS; i++) { next_b[i] = load_b(part, part.begin, thread + i * THREADS); }
  for (var k0 = part.begin; k0 < part.end; k0 += DEPTH) {
    for (var i = 0u; i < A_LOADS; i++) { store_a(part, thread + i * THREADS, next_a[i]); }
    for (var i = 0u; i < B_LOADS; i++) { store_b(part, thread + i * THREADS, next_b[i]); }
    workgroupBarrier();
    for (var i = 0u; i < A_LOADS; i++) { next_a[i] = load_a(part, k0 + DEPTH, thread + i * THREADS); }
    for (var i = 0u; i < B_LOADS; i++) { next_b[i] = load_b(part, k0 + DEPTH, thread + i * THREADS); }
    for (var step = 0u; step < DEPTH / UNIT_K; step++) {
      let k = step * UNIT_K;
      var rights: array<Right, COLUMNS>;
      for (var j = 0u; j < COLUMNS; j++) { rights[j] = right_at(part, k, column + j * UNIT_N); }
      for (var i = 0u; i < ROWS; i++) {
        let left = left_at(part, row + i * UNIT_M, k);
        for (var j = 0u; j < COLUMNS; j++) {
          matrices[i][j] = subgroupMatrixMultiplyAccumulate(left, rights[j], matrices[i][j]);
        }
      }
    }
    workgroupBarrier();
  }
  let base = subgroup * UNIT_M * (LENGTH + 1u);
  for (var i = 0u; i < ROWS; i++) {
    for (var strip = 0u; strip < COLUMNS / STRIP; strip++) {
      for (var j = 0u; j < STRIP; j++) {
        let place = base + j * (UNIT_N / 4u);
        subgroupMatrixStore<row_major>(&sums, place, matrices[i][strip * STRIP + j], LENGTH + 1u);
      }
      workgroupBarrier();
      for (var share = 0u; share < (UNIT_M * LENGTH + LANES - 1u) / LANES; share++) {
        let line = (share * LANES + lane) / LENGTH;
        let at = (share * LANES + lane) % LENGTH;
        let m = part.m0 + row + i * UNIT_M + line;
        let n = part.n0 + column + (strip * LENGTH + at) * 4u;
        if (line < UNIT_M) { store(part, m, n, sums[base + line * (LENGTH + 1u) + at]); }
      }
      workgroupBarrier();
    }
  }
}
