// First half of the global gradient norm: the sum of squares of each chunk of the flat gradients.
//
//   partials[g] = sum of grads[i]^2 over i = g * CHUNK .. (g + 1) * CHUNK - 1
//
// A workgroup a chunk.
// reference: gradNormPartial()

override SIZE: u32;        // elements of grads
override CHUNK: u32;       // elements a workgroup sums
override OFFSET: u32;      // first chunk that this dispatch writes
override WG: u32 = 256u;   // threads in a workgroup, a power of two

@group(0) @binding(0) var<storage, read_write> partials: array<f32>;   // (chunks)
@group(0) @binding(1) var<storage, read> grads: array<f32>;            // (SIZE)

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
  let end = min((g + 1u) * CHUNK, SIZE);
  var sum = 0.0;
  for (var k = g * CHUNK + i; k < end; k += WG) { sum += grads[k] * grads[k]; }
  let total = reduce_sum(sum, i);
  if (i == 0u && g * CHUNK < SIZE) { partials[OFFSET + g] = total; }
}
