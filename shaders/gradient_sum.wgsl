// A batch's gradients from those of its parts, and what the gradient norm needs of them.
//
//   grads[i]           = sum_g parts[g,i]
//   partials[w]        = sum of grads[i]^2 over the elements of workgroup w
//   records[slot].loss = sum_g shares[g].x
//
// One thread an element.
// reference: gradientSum()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Sizes {
  size: u32,    // elements
  parts: u32,   // of the batch
}

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

@group(0) @binding(0) var<storage, read_write> grads: array<f32>;        // (size)
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;     // (ceil(size / WG))
@group(0) @binding(2) var<storage, read_write> records: array<Record>;   // (slots)
@group(0) @binding(3) var<storage, read> parts: array<f32>;              // (parts, size)
@group(0) @binding(4) var<storage, read> shares: array<vec2f>;           // (parts, 2) loss, and a norm
@group(0) @binding(5) var<uniform> step_data: Step;
@group(0) @binding(6) var<uniform> sizes: Sizes;

var<workgroup> partial: array<f32, WG>;

// The sum of every thread's value, the same for all of them; pairs are added in a tree.
fn reduce_sum(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] += partial[i + half]; }
    workgroupBarrier();
  }
  return partial[0];
}

@compute @workgroup_size(WG)
fn gradient_sum(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let k = group.x * WG + i;
  var g = 0.0;
  if (k < sizes.size) {
    for (var part = 0u; part < sizes.parts; part++) { g += parts[part * sizes.size + k]; }
    grads[k] = g;
  }
  let squares = reduce_sum(g * g, i);
  if (i == 0u) { partials[group.x] = squares; }
  if (k == 0u) {
    var loss = 0.0;
    for (var part = 0u; part < sizes.parts; part++) { loss += shares[part].x; }
    records[step_data.slot].loss = loss;
  }
}
