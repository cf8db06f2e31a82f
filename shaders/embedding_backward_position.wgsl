// Gradient of the position embedding: each position's row sums the gradient over the batch.
//
//   dwpe[t,c] = sum over b of dout[b,t,c]
//
// One thread an element of dwpe.
// reference: embeddingBackwardPosition()

override B: u32;          // batch
override T: u32;          // positions
override C: u32;          // channels
override WG: u32 = 64u;   // threads in a workgroup

@group(0) @binding(0) var<storage, read_write> dwpe: array<f32>;   // (T, C)
@group(0) @binding(1) var<storage, read> dout: array<f32>;         // (B, T, C)

@compute @workgroup_size(WG)
fn embedding_backward_position(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= T * C) { return; }
  var sum = 0.0;
  for (var b = 0u; b < B; b++) { sum += dout[b * T * C + i]; }
  dwpe[i] = sum;
}
