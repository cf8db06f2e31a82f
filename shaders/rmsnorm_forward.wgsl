// RMSNorm forward, without a gain or with one on each channel.
//
//   rstd[n]  = 1 / sqrt(mean_c inp[n,c]^2 + eps)
//   out[n,c] = inp[n,c] * rstd[n]                  with GAIN: * gain[c]
//
// A workgroup a row, its threads across channels. rstd is kept for the backward pass.
// with: rstd
// reference: rmsnormForward(), rmsnormGainForward()

override WG: u32 = 64u;          // threads in a workgroup, a power of two
override GAIN: bool = false;     // whether there is a gain

// What out holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = f32;   // given

struct Sizes {
  N: u32,     // rows, B*T
  C: u32,     // channels
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<Out>;    // (N, C)
@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;   // (N)
@group(0) @binding(2) var<storage, read> inp: array<f32>;          // (N, C)
@group(0) @binding(3) var<storage, read> gain: array<f32>;         // (C), or where there is none, any
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn rmsnorm_forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  var sum = 0.0;
  for (var c = i; c < sizes.C; c += WG) {
    let x = inp[n * sizes.C + c];
    sum += x * x;
  }
  let scale = rstd_of(sum, i);
  for (var c = i; c < sizes.C; c += WG) {
    var value = inp[n * sizes.C + c] * scale;
    if (GAIN) { value *= gain[c]; }
    out[n * sizes.C + c] = Out(value);
  }
  if (i == 0u) { rstd[n] = scale; }
}
