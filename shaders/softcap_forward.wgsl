// The cap on the logits, in place, where no loss is made of them: that of cross_entropy caps them itself.
//
//   logits[n,v] = softcap * tanh(logits[n,v] / softcap)
//
// One thread an element.
// with: softcap
// reference: softcapForward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  N: u32,         // rows
  V: u32,         // vocabulary
  softcap: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;   // (N, V)
@group(0) @binding(1) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn softcap_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i < sizes.N * sizes.V) { logits[i] = capped(logits[i]); }
}
