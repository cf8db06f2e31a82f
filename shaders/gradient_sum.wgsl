// The flat gradients from the planes they were made in, and what their norm needs of them.
//
//   grads[0,i]  = sum_p grads[p,i]
//   partials[g] = sum of grads[0,i]^2 over i = g * chunk .. (g + 1) * chunk - 1
//
// A single plane is left as it is. A workgroup a chunk.
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
@group(0) @binding(2) var<uniform> sizes: Sizes;

var<workgroup> partial: array<f32, WG>;

// The sum of every thread's value, the same for all of them; pairs are added in a tree.
fn reduce_sum(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] += partial[i + half]; }
    workgroupBarrier();
  }
  return partial[0];
}

@compute @workgroup_size(WG)
fn gradient_sum(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let g = group.x + group.y * groups.x;
  let end = min((g + 1u) * sizes.chunk, sizes.size);
  var squares = 0.0;
  for (var k = g * sizes.chunk + i; k < end; k += WG) {
    var sum = grads[k];
    for (var p = 1u; p < sizes.planes; p++) { sum += grads[p * sizes.size + k]; }
    if (sizes.planes > 1u) { grads[k] = sum; }
    squares += sum * sum;
  }
  let total = reduce_sum(squares, i);
  if (i == 0u && g * sizes.chunk < sizes.size) { partials[sizes.first + g] = total; }
}
