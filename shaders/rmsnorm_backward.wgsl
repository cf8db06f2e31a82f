// RMSNorm backward.
//
//   dinp[n,c] = rstd[n] * (dout[n,c] - inp[n,c] * rstd[n]^2 * mean_c(dout[n,c] * inp[n,c]))
//
// If ACCUMULATE, this is added to dinp, where the residual's gradient already stands.
// A workgroup a row, its threads across channels.
// reference: rmsnormBackward()

override N: u32;             // rows, B*T
override C: u32;             // channels
override ACCUMULATE: bool;
override WG: u32 = 64u;      // threads in a workgroup, a power of two

@group(0) @binding(0) var<storage, read_write> dinp: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> dout: array<f32>;         // (N, C)
@group(0) @binding(2) var<storage, read> inp: array<f32>;          // (N, C)
@group(0) @binding(3) var<storage, read> rstd: array<f32>;         // (N)

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
fn rmsnorm_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= N) { return; }
  var dot = 0.0;
  for (var c = i; c < C; c += WG) { dot += dout[n * C + c] * inp[n * C + c]; }
  let scale = rstd[n];
  let pull = scale * scale * (reduce_sum(dot, i) / f32(C));
  for (var c = i; c < C; c += WG) {
    let k = n * C + c;
    var value = scale * (dout[k] - inp[k] * pull);
    if (ACCUMULATE) { value += dinp[k]; }
    dinp[k] = value;
  }
}
