// What a step has to tell: its mean loss and the norm of all gradients together, into the step's record.
//
//   records[slot].loss      = step.loss_scale * sum_n losses[n * stride]
//   records[slot].grad_norm = sqrt(sum_g partials[g])
//
// One workgroup, its threads across losses and partials.
// reference: stepRecord()

override WG: u32 = 256u;   // threads in the workgroup, a power of two

struct Sizes {
  N: u32,        // losses
  stride: u32,   // numbers from one to the next
  chunks: u32,   // partials
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

@group(0) @binding(0) var<storage, read_write> records: array<Record>;   // (slots)
@group(0) @binding(1) var<storage, read> losses: array<f32>;             // (N, stride)
@group(0) @binding(2) var<storage, read> partials: array<f32>;           // (chunks)
@group(0) @binding(3) var<uniform> step_data: Step;
@group(0) @binding(4) var<uniform> sizes: Sizes;

var<workgroup> partial: array<vec2f, WG>;

// The sums of every thread's values; pairs are added in a tree.
fn reduce_sum(value: vec2f, i: u32) -> vec2f {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] += partial[i + half]; }
    workgroupBarrier();
  }
  return partial[0];
}

@compute @workgroup_size(WG)
fn step_record(@builtin(local_invocation_index) i: u32) {
  var sums = vec2f();
  for (var n = i; n < sizes.N; n += WG) { sums.x += losses[n * sizes.stride]; }
  for (var g = i; g < sizes.chunks; g += WG) { sums.y += partials[g]; }
  let totals = reduce_sum(sums, i);
  if (i == 0u) { records[step_data.slot] = Record(totals.x * step_data.loss_scale, sqrt(totals.y)); }
}
