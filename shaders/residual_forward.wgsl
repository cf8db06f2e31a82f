// Residual forward: what a block adds to the stream.
//
//   out[i] = x[i] + inp[i]
//
// One thread an element.
// reference: residualForward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  size: u32,   // elements
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (size)
@group(0) @binding(1) var<storage, read> x: array<f32>;           // (size) the stream before the block
@group(0) @binding(2) var<storage, read> inp: array<f32>;         // (size) the output of the block
@group(0) @binding(3) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn residual_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.size) { return; }
  out[i] = x[i] + inp[i];
}
