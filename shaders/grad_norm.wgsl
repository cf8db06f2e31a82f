// Second half of the global gradient norm: the root of the summed partials, into the step's record.
//
//   records[slot].grad_norm = sqrt(sum_g partials[g])
//
// One workgroup.
// reference: gradNorm()

override WG: u32 = 256u;   // threads in the workgroup, a power of two

struct Sizes {
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
@group(0) @binding(1) var<storage, read> partials: array<f32>;           // (chunks)
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
fn grad_norm(@builtin(local_invocation_index) i: u32) {
  var sum = 0.0;
  for (var g = i; g < sizes.chunks; g += WG) { sum += partials[g]; }
  let total = reduce_sum(sum, i);
  if (i == 0u) { records[step_data.slot].grad_norm = sqrt(total); }
}
