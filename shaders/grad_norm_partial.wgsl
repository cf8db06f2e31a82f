// First half of the global gradient norm: the sum of squares of each chunk of the flat gradients.
//
//   partials[g] = sum of grads[i]^2 over i = g * chunk .. (g + 1) * chunk - 1
//
// A workgroup a chunk.
// reference: gradNormPartial()

override WG: u32 = 256u;   // threads in a workgroup, a power of two

struct Sizes {
  size: u32,     // elements of grads
  chunk: u32,    // elements a workgroup sums
  offset: u32,   // first chunk that this dispatch writes
}

@group(0) @binding(0) var<storage, read_write> partials: array<f32>;   // (chunks)
@group(0) @binding(1) var<storage, read> grads: array<f32>;            // (size)
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
  let total = partial[0];
  workgroupBarrier();
  return total;
}

@compute @workgroup_size(WG)
fn grad_norm_partial(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let g = group.x + group.y * groups.x;
  let end = min((g + 1u) * sizes.chunk, sizes.size);
  var sum = 0.0;
  for (var k = g * sizes.chunk + i; k < end; k += WG) { sum += grads[k] * grads[k]; }
  let total = reduce_sum(sum, i);
  if (i == 0u && g * sizes.chunk < sizes.size) { partials[sizes.offset + g] = total; }
}
