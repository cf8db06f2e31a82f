// Matrix product of few rows with a weight as it lies, as where texts are continued.
//
//   out[m,n] = sum_k a[m,k] * b[n,k]
//
// A workgroup makes Y columns of up to 8 rows; X threads share a column, each with every X-th four along k, and what they
// have summed meets in a tree. What a row's sums are does not depend on the rows beside it, nor on how many there are.
// with: product_sizes, epilogue
// reference: matmulForward(), matmulResidualForward(), matmulActivationForward()

override X: u32 = 32u;             // threads along k, a power of two
override Y: u32 = 4u;              // columns of a workgroup
override VECTORS: bool = true;     // whether K is a multiple of 4

override THREADS: u32 = X * Y;     // by a name: naga ends over an array of vectors whose length is a product

const ROWS = 8u;

// What an array holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = f32;          // given
alias InA = f32;          // given
alias AVectors = vec4f;   // given
alias InB = f32;          // given
alias BVectors = vec4f;   // given
alias Extra = f32;        // given

alias Value = f32;

@group(0) @binding(0) var<storage, read_write> out: array<Out>;        // (M, N)
@group(0) @binding(1) var<storage, read> a: array<InA>;                // (M, K)
@group(0) @binding(2) var<storage, read> a_vectors: array<AVectors>;   // the same
@group(0) @binding(3) var<storage, read> b: array<InB>;                // (N, K)
@group(0) @binding(4) var<storage, read> b_vectors: array<BVectors>;   // the same
@group(0) @binding(5) var<storage, read> extra: array<Extra>;          // (M, N) or, where it is not read, any
@group(0) @binding(6) var<uniform> sizes: Sizes;

// Four numbers of a row from column k on, zero past its end.
fn load_a(m: u32, k: u32) -> vec4f {
  let at = min(m, sizes.M - 1u) * sizes.K + k;
  if (VECTORS) { return vec4f(a_vectors[at / 4u]); }
  let numbers = vec4f(f32(a[at]), f32(a[at + 1u]), f32(a[at + 2u]), f32(a[at + 3u]));
  return select(vec4f(), numbers, vec4u(k) + vec4u(0u, 1u, 2u, 3u) < vec4u(sizes.K));
}

fn load_b(n: u32, k: u32) -> vec4f {
  let at = min(n, sizes.N - 1u) * sizes.K + k;
  if (VECTORS) { return vec4f(b_vectors[at / 4u]); }
  let numbers = vec4f(f32(b[at]), f32(b[at + 1u]), f32(b[at + 2u]), f32(b[at + 3u]));
  return select(vec4f(), numbers, vec4u(k) + vec4u(0u, 1u, 2u, 3u) < vec4u(sizes.K));
}

var<workgroup> partial: array<vec4f, THREADS>;

// Of what each of a column's X threads has summed for four rows one vector, the same for all of them.
fn sum_column(sums: vec4f, i: u32) -> vec4f {
  if (X == 1u) { return sums; }
  partial[i] = sums;
  workgroupBarrier();
  for (var step = X / 2u; step > 0u; step /= 2u) {
    if (i % X < step) { partial[i] += partial[i + step]; }
    workgroupBarrier();
  }
  let sum = partial[i / X * X];
  workgroupBarrier();
  return sum;
}

fn store(m: u32, n: u32, sum: f32) {
  if (m >= sizes.M || n >= sizes.N) { return; }
  let at = m * sizes.N + n;
  out[at] = Out(finish(sum, at));
}

fn store_four(m: u32, n: u32, sums: vec4f) {
  store(m, n, sums.x);
  store(m + 1u, n, sums.y);
  store(m + 2u, n, sums.z);
  store(m + 3u, n, sums.w);
}

@compute @workgroup_size(THREADS)
fn matmul_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let index = sizes.before + group.x + group.y * groups.x;
  let across = (sizes.N + Y - 1u) / Y;
  let m = index / across * ROWS;
  let n = index % across * Y + i / X;
  if (m >= sizes.M) { return; }
  let rows = sizes.M - m;
  var near = vec4f();
  var far = vec4f();
  for (var k = i % X * 4u; k < sizes.K; k += X * 4u) {
    let weights = load_b(n, k);
    near.x += dot(load_a(m, k), weights);
    if (rows > 1u) {
      near.y += dot(load_a(m + 1u, k), weights);
      near.z += dot(load_a(m + 2u, k), weights);
      near.w += dot(load_a(m + 3u, k), weights);
    }
    if (rows > 4u) {
      far.x += dot(load_a(m + 4u, k), weights);
      far.y += dot(load_a(m + 5u, k), weights);
      far.z += dot(load_a(m + 6u, k), weights);
      far.w += dot(load_a(m + 7u, k), weights);
    }
  }
  near = sum_column(near, i);
  if (rows > 4u) { far = sum_column(far, i); }
  if (i % X > 0u) { return; }
  store_four(m, n, near);
  store_four(m + 4u, n, far);
}
