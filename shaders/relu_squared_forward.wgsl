// Squared ReLU forward.
//
//   out[i] = max(inp[i], 0)^2
//
// One thread an element.
// reference: reluSquaredForward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  size: u32,   // elements
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (size)
@group(0) @binding(1) var<storage, read> inp: array<f32>;         // (size)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn relu_squared_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.size) { return; }
  let x = max(inp[i], 0.0);
  out[i] = x * x;
}
