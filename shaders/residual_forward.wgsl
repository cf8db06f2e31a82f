// Residual forward: what a block adds to the stream.
//
//   out[i] = x[i] + inp[i]
//
// One thread an element.
// reference: residualForward()

override SIZE: u32;        // elements
override WG: u32 = 64u;    // threads in a workgroup

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (SIZE)
@group(0) @binding(1) var<storage, read> x: array<f32>;           // (SIZE) the stream before the block
@group(0) @binding(2) var<storage, read> inp: array<f32>;         // (SIZE) the output of the block

@compute @workgroup_size(WG)
fn residual_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= SIZE) { return; }
  out[i] = x[i] + inp[i];
}
