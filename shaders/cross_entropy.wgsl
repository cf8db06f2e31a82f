// Softmax cross-entropy, forward and backward in one: the losses, and the logits become their gradient.
//
//   losses[n]   = log(sum_v exp(y[n,v] - largest)) - (y[n,target] - largest)
//   logits[n,v] = (exp(y[n,v] - largest) / sum - [v = target]) * step.loss_scale * scaler.scale
//
// y are the logits; with CAPPED y = softcap * tanh(logits / softcap), and the gradient is times 1 - (y / softcap)^2.
// loss_scale is 1 / (positions that count); scale is 1 unless operands of products are f16. A row whose target
// is outside 0..V-1 is ignored: its loss and its gradient are 0. A workgroup a row, its threads across the
// vocabulary.
// with: reductions, softcap, step
// reference: crossEntropy()

override WG: u32 = 64u;          // threads in a workgroup, a power of two
override CAPPED: bool = false;   // whether the logits have a cap, which they do not stand below yet
override PIECES: bool = false;   // whether the logits lie in pieces of the vocabulary, all rows of one after the other

struct Sizes {
  N: u32,         // rows, B*T
  V: u32,         // vocabulary
  softcap: f32,
  piece: u32,     // tokens of a piece, but of the last one those that are left
}

@group(0) @binding(0) var<storage, read_write> losses: array<f32>;   // (N)
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;   // (N, V), or of each piece
@group(0) @binding(2) var<storage, read> targets: array<i32>;        // (N)
@group(0) @binding(3) var<uniform> step_data: Step;
@group(0) @binding(4) var<storage, read> scaler: Scaler;
@group(0) @binding(5) var<uniform> sizes: Sizes;

fn place(n: u32, v: u32) -> u32 {
  if (!PIECES) { return n * sizes.V + v; }
  let first = v / sizes.piece * sizes.piece;
  return first * sizes.N + n * min(sizes.piece, sizes.V - first) + v - first;
}

fn logit(at: u32) -> f32 {
  if (CAPPED) { return capped(logits[at]); }
  return logits[at];
}

@compute @workgroup_size(WG)
fn cross_entropy(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  let V = sizes.V;
  let target_id = targets[n];
  let counts = target_id >= 0 && u32(target_id) < V;

  var highest = -3.4e38;
  for (var v = i; v < V; v += WG) { highest = max(highest, logit(place(n, v))); }
  let largest = reduce_max(highest, i);
  var sum = 0.0;
  for (var v = i; v < V; v += WG) { sum += exp(logit(place(n, v)) - largest); }
  let total = reduce_sum(sum, i);

  if (i == 0u) {
    var loss = 0.0;
    if (counts) { loss = log(total) - (logit(place(n, u32(target_id))) - largest); }
    losses[n] = loss;
  }
  let gradient_scale = step_data.loss_scale * scaler.scale;
  storageBarrier();   // the target's logit is read before its thread overwrites it
  for (var v = i; v < V; v += WG) {
    let p = exp(logit(place(n, v)) - largest) / total;
    var d = (p - select(0.0, 1.0, v == u32(target_id))) * gradient_scale;
    if (CAPPED) { d *= cap_slope(logits[place(n, v)]); }
    logits[place(n, v)] = select(0.0, d, counts);
  }
}
