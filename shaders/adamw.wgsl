// AdamW over all parameters at once, in place.
//
//   g       = grads[i] * min(1, GRAD_CLIP / grad_norm)          (GRAD_CLIP 0: no clipping)
//   m[i]    = BETA1 * m[i] + (1 - BETA1) * g
//   v[i]    = BETA2 * v[i] + (1 - BETA2) * g^2
//   params -= lr * (m[i] * correction1 / (sqrt(v[i] * correction2) + EPSILON) + WEIGHT_DECAY * params[i])
//
// One thread an element. Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
// reference: adamw()

override SIZE: u32;        // elements
override BETA1: f32;
override BETA2: f32;
override EPSILON: f32;
override WEIGHT_DECAY: f32;
override GRAD_CLIP: f32;
override WG: u32 = 64u;    // threads in a workgroup

struct Step {
  slot: u32,          // of records
  lr: f32,            // learning rate
  correction1: f32,   // 1 / (1 - beta1^t), t from 1
  correction2: f32,   // 1 / (1 - beta2^t)
  loss_scale: f32,    // 1 / (positions that count)
}

struct Record {
  loss: f32,
  grad_norm: f32,
}

@group(0) @binding(0) var<storage, read_write> params: array<f32>;   // (SIZE)
@group(0) @binding(1) var<storage, read_write> m: array<f32>;        // (SIZE)
@group(0) @binding(2) var<storage, read_write> v: array<f32>;        // (SIZE)
@group(0) @binding(3) var<storage, read> grads: array<f32>;          // (SIZE)
@group(0) @binding(4) var<storage, read> records: array<Record>;     // (slots)
@group(0) @binding(5) var<uniform> step_data: Step;

@compute @workgroup_size(WG)
fn adamw(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= SIZE) { return; }
  let norm = records[step_data.slot].grad_norm;
  var g = grads[i];
  if (GRAD_CLIP > 0.0 && norm > GRAD_CLIP) { g *= GRAD_CLIP / norm; }
  let mean = BETA1 * m[i] + (1.0 - BETA1) * g;
  let square = BETA2 * v[i] + (1.0 - BETA2) * g * g;
  m[i] = mean;
  v[i] = square;
  let update = mean * step_data.correction1 / (sqrt(square * step_data.correction2) + EPSILON);
  params[i] -= step_data.lr * (update + WEIGHT_DECAY * params[i]);
}
