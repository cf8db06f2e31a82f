// ReLU forward.
//
//   out[i] = max(inp[i], 0)
//
// One thread an element.
// reference: reluForward()

override SIZE: u32;        // elements
override WG: u32 = 64u;    // threads in a workgroup

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (SIZE)
@group(0) @binding(1) var<storage, read> inp: array<f32>;         // (SIZE)

@compute @workgroup_size(WG)
fn relu_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= SIZE) { return; }
  out[i] = max(inp[i], 0.0);
}
