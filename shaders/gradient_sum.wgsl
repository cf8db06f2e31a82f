// The flat gradients from the planes they were made in, and what their norm needs of them.
//
//   grads[0,i]  = sum_p grads[p,i] / scaler.scale
//   partials[g] = sum of grads[0,i]^2 over i = g * chunk .. (g + 1) * chunk - 1
//
// A single plane is left as it is where scale is 1. A workgroup a chunk.
// with: reductions, step
// reference: gradientSum()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Sizes {
  size: u32,     // elements of a plane
  planes: u32,
  chunk: u32,    // elements a workgroup sums
  first: u32,    // place of the first chunk in partials
}

@group(0) @binding(0) var<storage, read_write> grads: array<f32>;      // (planes, size)
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;   // (chunks)
@group(0) @binding(2) var<storage, read> scaler: Scaler;
@group(0) @binding(3) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn gradient_sum(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let g = group.x + group.y * groups.x;
  let end = min((g + 1u) * sizes.chunk, sizes.size);
  let factor = 1.0 / scaler.scale;
  let changed = sizes.planes > 1u || factor != 1.0;
  var squares = 0.0;
  for (var k = g * sizes.chunk + i; k < end; k += WG) {
    var sum = grads[k];
    for (var p = 1u; p < sizes.planes; p++) { sum += grads[p * sizes.size + k]; }
    sum *= factor;
    if (changed) { grads[k] = sum; }
    squares += sum * sum;
  }
  let total = reduce_sum(squares, i);
  if (i == 0u && g * sizes.chunk < sizes.size) { partials[sizes.first + g] = total; }
}
