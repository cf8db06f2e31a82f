// Softmax cross-entropy forward.
//
//   losses[n] = log(sum_v exp(logits[n,v] - largest)) - (logits[n,target] - largest)
//
// 0 where the target is outside 0..V-1 (an ignored position). stats keeps each row's largest logit and
// 1 / sum, not their logarithm: at logits of 1e4 a float32 logarithm would spoil the softmax's third digit.
// A workgroup a row, its threads across the vocabulary.
// reference: crossEntropyForward()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Sizes {
  N: u32,   // rows, B*T
  V: u32,   // vocabulary
}

@group(0) @binding(0) var<storage, read_write> losses: array<f32>;    // (N)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (N, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> logits: array<f32>;          // (N, V)
@group(0) @binding(3) var<storage, read> targets: array<i32>;         // (N)
@group(0) @binding(4) var<uniform> sizes: Sizes;

var<workgroup> partial: array<f32, WG>;

// The largest of every thread's value, the same for all of them.
fn reduce_max(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] = max(partial[i], partial[i + half]); }
    workgroupBarrier();
  }
  let largest = partial[0];
  workgroupBarrier();
  return largest;
}

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
fn cross_entropy_forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  var highest = -3.4e38;
  for (var v = i; v < sizes.V; v += WG) { highest = max(highest, logits[n * sizes.V + v]); }
  let largest = reduce_max(highest, i);
  var sum = 0.0;
  for (var v = i; v < sizes.V; v += WG) { sum += exp(logits[n * sizes.V + v] - largest); }
  let total = reduce_sum(sum, i);
  if (i == 0u) {
    let target_id = targets[n];
    var loss = 0.0;
    if (target_id >= 0 && u32(target_id) < sizes.V) {
      loss = log(total) - (logits[n * sizes.V + u32(target_id)] - largest);
    }
    losses[n] = loss;
    stats[n] = vec2f(largest, 1.0 / total);
  }
}
