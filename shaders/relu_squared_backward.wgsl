// Squared ReLU backward, in place: dx comes in as the output's gradient and goes out as the input's.
//
//   dx[i] = dx[i] * 2 max(inp[i], 0)
//
// One thread an element.
// reference: reluSquaredBackward()

override SIZE: u32;        // elements
override WG: u32 = 64u;    // threads in a workgroup

@group(0) @binding(0) var<storage, read_write> dx: array<f32>;   // (SIZE)
@group(0) @binding(1) var<storage, read> inp: array<f32>;        // (SIZE) what the forward pass read

@compute @workgroup_size(WG)
fn relu_squared_backward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= SIZE) { return; }
  dx[i] *= 2.0 * max(inp[i], 0.0);
}
