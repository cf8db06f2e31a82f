// ReLU backward, in place: dx comes in as the output's gradient and goes out as the input's.
//
//   dx[i] = dx[i] if inp[i] > 0, else 0
//
// One thread an element.
// reference: reluBackward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  size: u32,   // elements
}

@group(0) @binding(0) var<storage, read_write> dx: array<f32>;   // (size)
@group(0) @binding(1) var<storage, read> inp: array<f32>;        // (size) what the forward pass read
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn relu_backward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.size) { return; }
  dx[i] = select(0.0, dx[i], inp[i] > 0.0);
}
