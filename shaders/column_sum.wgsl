// The sums of a matrix's columns, or of some that stand side by side, in a fixed order.
//
//   out[c] = sum over n of inp[n, first + c]
//
// A workgroup X columns; of a column's numbers its Y lines of threads take turns, and their sums are added in a tree.
// reference: columnSum()

const X = 8u;    // threads across columns
const Y = 16u;   // lines of them, a power of two

struct Sizes {
  N: u32,        // rows
  C: u32,        // columns that are summed
  stride: u32,   // numbers from row to row
  first: u32,    // the first column
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (C)
@group(0) @binding(1) var<storage, read> inp: array<f32>;         // (N, stride)
@group(0) @binding(2) var<uniform> sizes: Sizes;

var<workgroup> partial: array<f32, X * Y>;

@compute @workgroup_size(X, Y)
fn column_sum(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let c = group.x * X + local.x;
  var sum = 0.0;
  for (var n = local.y; n < sizes.N && c < sizes.C; n += Y) { sum += inp[n * sizes.stride + sizes.first + c]; }
  partial[i] = sum;
  workgroupBarrier();
  for (var half = Y / 2u; half > 0u; half /= 2u) {
    if (local.y < half) { partial[i] += partial[i + half * X]; }
    workgroupBarrier();
  }
  if (local.y == 0u && c < sizes.C) { out[c] = partial[i]; }
}
