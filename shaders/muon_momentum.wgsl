// The first part of a Muon step on a matrix: its momentum, and what is to be made orthogonal, with its norm's parts.
//
//   g           = grads[i] * min(1, grad_clip / grad_norm)          (grad_clip 0: no clipping)
//   m[i]        = momentum * m[i] + g
//   x[i]        = g + momentum * m[i]       (Nesterov's look ahead; transposed if rows > columns)
//   partials[p] = sum of x[i]^2 over i = p * chunk .. (p + 1) * chunk - 1
//
// m does not change where the gradients' norm is not finite; what becomes of x is then of no use. Matrices of one
// buffer lie one behind the other, so that not all begin where a binding may: m and grads are read from `first` on.
// A workgroup a chunk.
// with: clip, reductions, step
// reference: muonMomentum()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Sizes {
  rows: u32,
  columns: u32,
  first: u32,        // element of m and grads
  chunk: u32,        // elements a workgroup makes
  momentum: f32,
  grad_clip: f32,
}

@group(0) @binding(0) var<storage, read_write> m: array<f32>;          // (first + rows * columns)
@group(0) @binding(1) var<storage, read_write> x: array<f32>;          // (short side, long side)
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;   // (chunks)
@group(0) @binding(3) var<storage, read> grads: array<f32>;            // (first + rows * columns)
@group(0) @binding(4) var<storage, read> records: array<Record>;       // (slots)
@group(0) @binding(5) var<uniform> step_data: Step;
@group(0) @binding(6) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn muon_momentum(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let p = group.x + group.y * groups.x;
  let size = sizes.rows * sizes.columns;
  let end = min((p + 1u) * sizes.chunk, size);
  let norm = records[step_data.slot].grad_norm;
  let finite = is_finite(norm);
  var squares = 0.0;
  for (var k = p * sizes.chunk + i; k < end; k += WG) {
    let at = sizes.first + k;
    let g = clipped(grads[at], norm);
    let mean = sizes.momentum * m[at] + g;
    if (finite) { m[at] = mean; }
    let ahead = g + sizes.momentum * mean;
    var place = k;
    if (sizes.rows > sizes.columns) { place = k % sizes.columns * sizes.rows + k / sizes.columns; }
    x[place] = ahead;
    squares += ahead * ahead;
  }
  let total = reduce_sum(squares, i);
  if (i == 0u && p * sizes.chunk < size) { partials[p] = total; }
}
