// Softmax cross-entropy backward, in place: the logits become their gradient.
//
//   logits[n,v] = (exp(logits[n,v] - largest) / sum - [v = target]) * step.loss_scale
//
// loss_scale is 1 / (positions that count); a row whose target is outside 0..V-1 gets zeros.
// One thread an element.
// reference: crossEntropyBackward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  N: u32,   // rows, B*T
  V: u32,   // vocabulary
}

struct Step {
  slot: u32,
  lr: f32,
  correction1: f32,
  correction2: f32,
  loss_scale: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;   // (N, V)
@group(0) @binding(1) var<storage, read> stats: array<vec2f>;        // (N, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> targets: array<i32>;        // (N)
@group(0) @binding(3) var<uniform> step_data: Step;
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn cross_entropy_backward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.N * sizes.V) { return; }
  let n = i / sizes.V;
  let target_id = targets[n];
  var d = 0.0;
  if (target_id >= 0 && u32(target_id) < sizes.V) {
    let p = exp(logits[i] - stats[n].x) * stats[n].y;
    d = (p - select(0.0, 1.0, i % sizes.V == u32(target_id))) * step_data.loss_scale;
  }
  logits[i] = d;
}
