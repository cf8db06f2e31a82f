// Gradient of the position embedding: each position's row sums the gradient over the batch.
//
//   dwpe[t,c] = sum over b of dout[b,t,c]
//
// One thread an element of dwpe.
// reference: embeddingBackwardPosition()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  B: u32,   // batch
  T: u32,   // positions
  C: u32,   // channels
}

@group(0) @binding(0) var<storage, read_write> dwpe: array<f32>;   // (T, C)
@group(0) @binding(1) var<storage, read> dout: array<f32>;         // (B, T, C)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_backward_position(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.T * sizes.C) { return; }
  var sum = 0.0;
  for (var b = 0u; b < sizes.B; b++) { sum += dout[b * sizes.T * sizes.C + i]; }
  dwpe[i] = sum;
}
