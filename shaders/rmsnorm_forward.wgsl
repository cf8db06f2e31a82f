// RMSNorm forward, without a gain.
//
//   rstd[n]  = 1 / sqrt(mean_c inp[n,c]^2 + EPS)
//   out[n,c] = inp[n,c] * rstd[n]
//
// A workgroup a row, its threads across channels. rstd is kept for the backward pass.
// reference: rmsnormForward()

override N: u32;          // rows, B*T
override C: u32;          // channels
override EPS: f32;
override WG: u32 = 64u;   // threads in a workgroup, a power of two

@group(0) @binding(0) var<storage, read_write> out: array<f32>;    // (N, C)
@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;   // (N)
@group(0) @binding(2) var<storage, read> inp: array<f32>;          // (N, C)

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
fn rmsnorm_forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= N) { return; }
  var sum = 0.0;
  for (var c = i; c < C; c += WG) {
    let x = inp[n * C + c];
    sum += x * x;
  }
  let scale = 1.0 / sqrt(reduce_sum(sum, i) / f32(C) + EPS);
  for (var c = i; c < C; c += WG) { out[n * C + c] = inp[n * C + c] * scale; }
  if (i == 0u) { rstd[n] = scale; }
}
