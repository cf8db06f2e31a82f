// AdamW over all parameters at once, in place.
//
//   g       = grads[i] * min(1, grad_clip / grad_norm)          (grad_clip 0: no clipping)
//   m[i]    = beta1 * m[i] + (1 - beta1) * g
//   v[i]    = beta2 * v[i] + (1 - beta2) * g^2
//   params -= lr * (m[i] * correction1 / (sqrt(v[i] * correction2) + epsilon) + weight_decay * params[i])
//
// Nothing changes where the gradients' norm is not finite. With HALF the new parameters go into weights too, for
// products in f16. One thread an element. Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
// with: clip, step
// reference: adamw()

override WG: u32 = 64u;         // threads in a workgroup
override HALF: bool = false;    // whether weights are written

alias Weight = f32;   // given: f16 with HALF

struct Sizes {
  size: u32,           // elements
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weight_decay: f32,
  grad_clip: f32,
}

@group(0) @binding(0) var<storage, read_write> params: array<f32>;       // (size)
@group(0) @binding(1) var<storage, read_write> m: array<f32>;            // (size)
@group(0) @binding(2) var<storage, read_write> v: array<f32>;            // (size)
@group(0) @binding(3) var<storage, read_write> weights: array<Weight>;   // (size), or where it is not written, any
@group(0) @binding(4) var<storage, read> grads: array<f32>;              // (size)
@group(0) @binding(5) var<storage, read> records: array<Record>;         // (slots)
@group(0) @binding(6) var<storage, read> scaler: Scaler;
@group(0) @binding(7) var<uniform> step_data: Step;
@group(0) @binding(8) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn adamw(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.size) { return; }
  let norm = records[step_data.slot].grad_norm;
  if (!is_finite(norm)) { return; }
  let g = clipped(grads[i], norm);
  let mean = sizes.beta1 * m[i] + (1.0 - sizes.beta1) * g;
  let square = sizes.beta2 * v[i] + (1.0 - sizes.beta2) * g * g;
  m[i] = mean;
  v[i] = square;
  let update = mean * scaler.correction1 / (sqrt(square * scaler.correction2) + sizes.epsilon);
  let param = params[i] - step_data.lr * (update + sizes.weight_decay * params[i]);
  params[i] = param;
  if (HALF) { weights[i] = Weight(param); }
}
