// Mean loss of a step, into the step's record.
//
//   records[slot].loss = step.loss_scale * sum_n losses[n]
//
// One workgroup, its threads across the rows.
// reference: meanLoss()

override WG: u32 = 256u;   // threads in the workgroup, a power of two

struct Sizes {
  N: u32,   // rows, B*T
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
@group(0) @binding(1) var<storage, read> losses: array<f32>;             // (N)
@group(0) @binding(2) var<uniform> step_data: Step;
@group(0) @binding(3) var<uniform> sizes: Sizes;

var<workgroup> partial: array<f32, WG>;

// The sum of every thread's value, the same for all of them; pairs are added in a tree.
fn reduce_sum(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] += partial[i + half]; }
    workgroupBarrier();
  }
  let total = partial[0];
  workgroupBarrier();
  return total;
}

@compute @workgroup_size(WG)
fn mean_loss(@builtin(local_invocation_index) i: u32) {
  var sum = 0.0;
  for (var n = i; n < sizes.N; n += WG) { sum += losses[n]; }
  let total = reduce_sum(sum, i);
  if (i == 0u) { records[step_data.slot].loss = total * step_data.loss_scale; }
}
