// Matrix product for hardware, where rows and lines are made of whole vectors: the same as matmul.wgsl, one
// or a PAIR.
//
//   out[m,n]    = sum_k A[m,k] * B[k,n]        A[m,k] = a[m * K + k]
//   out2[s,k,n] = sum_m A[m,k] * b2[m,n]       over the s-th part of m
//   B[k,n]      = b[k * N + n], or b[n * K + k] if ALONG_K
//
// A workgroup makes TILE_M x TILE_N outputs, each thread 8 x 8 of them in four 4 x 4 matrices whose columns
// are vectors along n. Tiles of A and B, 16 deep, pass through workgroup memory as vectors, depth-major: a
// thread loads blocks of 4 x 4, turns them where memory runs along the depth, and holds the next tile's in
// registers while this one is used. Vectors lie at places exchanged by their depth (swizzle), so that
// neither stores nor loads meet in a bank; in nested arrays, whose bounds are soon checked. N and K are
// multiples of 4.
// with: product_sizes, product_part, store_vector
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward(), matmulBackward(),
//   matmulActivationBackward(), matmulBackwardInput(), matmulResidualBackwardInput()

override TILE_M: u32 = 128u;       // 64 or 128
override TILE_N: u32 = 128u;       // 64 or 128
override ALONG_K: bool = false;    // whether B is contiguous along k

// What an array holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = vec4f;     // given
alias InA = vec4f;     // given
alias InB = vec4f;     // given
alias InB2 = vec4f;    // given
alias Extra = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> out: array<Out>;      // (M, N)
@group(0) @binding(1) var<storage, read_write> out2: array<vec4f>;   // (splits, K, N)
@group(0) @binding(2) var<storage, read> a: array<InA>;              // (M, K)
@group(0) @binding(3) var<storage, read> b: array<InB>;              // (K, N) or (N, K)
@group(0) @binding(4) var<storage, read> b2: array<InB2>;            // (M, N)
@group(0) @binding(5) var<storage, read> extra: array<Extra>;        // (M, N) or, where it is not read, any
@group(0) @binding(6) var<uniform> sizes: Sizes;

const DEPTH = 16u;
override ACROSS: u32 = TILE_N / 8u;   // threads along n
override DOWN: u32 = TILE_M / 8u;     // and along m
override THREADS: u32 = ACROSS * DOWN;
// Blocks of 4 x 4 in a tile of A, and in both tiles: no more than two a thread.
override A_BLOCKS: u32 = TILE_M / 4u * (DEPTH / 4u);
override BLOCKS: u32 = A_BLOCKS + TILE_N / 4u * (DEPTH / 4u);

var<workgroup> a_tile: array<array<vec4f, 32>, DEPTH>;   // (k, m / 4), swizzled
var<workgroup> b_tile: array<array<vec4f, 32>, DEPTH>;   // (k, n / 4), swizzled

// Four lines of a matrix from `line` on, each a vector at `at` along it; the last line stands for those past it.
fn lines_of(line: u32, lines: u32, stride: u32, at: u32) -> vec4u {
  return (min(vec4u(line) + vec4u(0u, 1u, 2u, 3u), vec4u(lines - 1u)) * stride + at) / 4u;
}

// A[m .. m+3, k .. k+3], a column for each k: of the second product with rows and columns exchanged. Zero
// where k is past the end.
fn load_a(part: Part, m: u32, k: u32) -> mat4x4f {
  if (part.second) {
    let at = lines_of(k, sizes.M, sizes.K, min(m, max(part.rows, 4u) - 4u));
    let block = mat4x4f(vec4f(a[at.x]), vec4f(a[at.y]), vec4f(a[at.z]), vec4f(a[at.w]));
    let inside = vec4u(k) + vec4u(0u, 1u, 2u, 3u) < vec4u(part.end);
    return mat4x4f(
      select(vec4f(), block[0], inside.x),
      select(vec4f(), block[1], inside.y),
      select(vec4f(), block[2], inside.z),
      select(vec4f(), block[3], inside.w),
    );
  }
  if (k >= part.end) { return mat4x4f(); }
  let at = lines_of(m, sizes.M, sizes.K, k);
  return transpose(mat4x4f(vec4f(a[at.x]), vec4f(a[at.y]), vec4f(a[at.z]), vec4f(a[at.w])));
}

// B[k .. k+3, n .. n+3], a column for each k.
fn load_b(part: Part, k: u32, n: u32) -> mat4x4f {
  if (part.second) {
    let at = lines_of(k, sizes.M, sizes.N, min(n, sizes.N - 4u));
    return mat4x4f(vec4f(b2[at.x]), vec4f(b2[at.y]), vec4f(b2[at.z]), vec4f(b2[at.w]));
  }
  if (ALONG_K) {
    let at = lines_of(n, sizes.N, sizes.K, min(k, sizes.K - 4u));
    return transpose(mat4x4f(vec4f(b[at.x]), vec4f(b[at.y]), vec4f(b[at.z]), vec4f(b[at.w])));
  }
  let at = lines_of(k, sizes.K, sizes.N, min(n, sizes.N - 4u));
  return mat4x4f(vec4f(b[at.x]), vec4f(b[at.y]), vec4f(b[at.z]), vec4f(b[at.w]));
}

// Where block `index` of a tile's edge lies: x along the edge, y in depth, both in fours. Consecutive threads
// go along memory's lines.
fn place(index: u32, edge: u32, along_depth: bool) -> vec2u {
  if (along_depth) { return vec2u(index / 4u, index % 4u); }
  return vec2u(index % (edge / 4u), index / (edge / 4u));
}
fn a_place(part: Part, index: u32) -> vec2u { return place(index, TILE_M, !part.second); }
fn b_place(part: Part, index: u32) -> vec2u { return place(index - A_BLOCKS, TILE_N, ALONG_K && !part.second); }

fn load_block(part: Part, k0: u32, index: u32) -> mat4x4f {
  if (index < A_BLOCKS) {
    let at = a_place(part, index) * 4u;
    return load_a(part, part.m0 + at.x, k0 + at.y);
  }
  let at = b_place(part, index) * 4u;
  return load_b(part, k0 + at.y, part.n0 + at.x);
}

// The place of vector x at depth k.
fn swizzle(x: u32, k: u32) -> u32 { return x ^ (k / 4u * 2u); }

fn store_block(part: Part, index: u32, block: mat4x4f) {
  if (index < A_BLOCKS) {
    let at = a_place(part, index);
    let x = swizzle(at.x, at.y * 4u);
    a_tile[at.y * 4u][x] = block[0];
    a_tile[at.y * 4u + 1u][x] = block[1];
    a_tile[at.y * 4u + 2u][x] = block[2];
    a_tile[at.y * 4u + 3u][x] = block[3];
  } else if (index < BLOCKS) {
    let at = b_place(part, index);
    let x = swizzle(at.x, at.y * 4u);
    b_tile[at.y * 4u][x] = block[0];
    b_tile[at.y * 4u + 1u][x] = block[1];
    b_tile[at.y * 4u + 2u][x] = block[2];
    b_tile[at.y * 4u + 3u][x] = block[3];
  }
}

// sum + rows * columns, an outer product: a vector of columns for each row.
fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(rows.x), columns, sum[0]),
    fma(vec4f(rows.y), columns, sum[1]),
    fma(vec4f(rows.z), columns, sum[2]),
    fma(vec4f(rows.w), columns, sum[3]),
  );
}

fn store_rows(part: Part, m: u32, n: u32, sums: mat4x4f) {
  store(part, m, n, sums[0]);
  store(part, m + 1u, n, sums[1]);
  store(part, m + 2u, n, sums[2]);
  store(part, m + 3u, n, sums[3]);
}

@compute @workgroup_size(THREADS)
fn matmul_wide(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let part = part_of(group.x + group.y * groups.x);
  let x = thread % ACROSS;   // the thread's vectors of a tile's edge: x and x + ACROSS along n,
  let y = thread / ACROSS;   // y and y + DOWN along m
  var sum00 = mat4x4f();
  var sum01 = mat4x4f();
  var sum10 = mat4x4f();
  var sum11 = mat4x4f();
  var next0 = load_block(part, part.begin, thread);
  var next1 = mat4x4f();
  if (thread + THREADS < BLOCKS) { next1 = load_block(part, part.begin, thread + THREADS); }
  for (var k0 = part.begin; k0 < part.end; k0 += DEPTH) {
    store_block(part, thread, next0);
    store_block(part, thread + THREADS, next1);
    workgroupBarrier();
    next0 = load_block(part, k0 + DEPTH, thread);
    if (thread + THREADS < BLOCKS) { next1 = load_block(part, k0 + DEPTH, thread + THREADS); }
    for (var k = 0u; k < DEPTH; k++) {
      let rows0 = a_tile[k][swizzle(y, k)];
      let rows1 = a_tile[k][swizzle(y + DOWN, k)];
      let columns0 = b_tile[k][swizzle(x, k)];
      let columns1 = b_tile[k][swizzle(x + ACROSS, k)];
      sum00 = add_outer(sum00, rows0, columns0);
      sum01 = add_outer(sum01, rows0, columns1);
      sum10 = add_outer(sum10, rows1, columns0);
      sum11 = add_outer(sum11, rows1, columns1);
    }
    workgroupBarrier();
  }
  let m = part.m0 + y * 4u;
  let n = part.n0 + x * 4u;
  store_rows(part, m, n, sum00);
  store_rows(part, m, n + ACROSS * 4u, sum01);
  store_rows(part, m + DOWN * 4u, n, sum10);
  store_rows(part, m + DOWN * 4u, n + ACROSS * 4u, sum11);
}
