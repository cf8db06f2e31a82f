// RMSNorm with a gain, backward: with normed = inp * rstd and dnormed = dout * gain
//
//   dinp[n,c]  = rstd[n] * (dnormed[n,c] - normed[n,c] * mean_c(dnormed[n,c] * normed[n,c]))
//   dgain[p,c] = sum of dout[n,c] * normed[n,c] over the rows n of part p
//
// A gain may be 0, so the forward pass's output is not enough. If accumulate, dinp's is added to what stands there, the
// residual's gradient. A workgroup a part of the rows, its threads across channels; gain_sum adds the parts.
// with: reductions
// reference: rmsnormGainBackward()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Sizes {
  N: u32,             // rows, B*T
  C: u32,             // channels
  parts: u32,         // of ceil(N / parts) rows, the last of them of fewer or of none
  accumulate: u32,    // 1 or 0
}

@group(0) @binding(0) var<storage, read_write> dinp: array<f32>;    // (N, C)
@group(0) @binding(1) var<storage, read_write> dgain: array<f32>;   // (parts, C)
@group(0) @binding(2) var<storage, read> dout: array<f32>;          // (N, C)
@group(0) @binding(3) var<storage, read> inp: array<f32>;           // (N, C)
@group(0) @binding(4) var<storage, read> rstd: array<f32>;          // (N)
@group(0) @binding(5) var<storage, read> gain: array<f32>;          // (C)
@group(0) @binding(6) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn rmsnorm_gain_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let part = group.x + group.y * groups.x;
  if (part >= sizes.parts) { return; }
  let C = sizes.C;
  let rows = (sizes.N + sizes.parts - 1u) / sizes.parts;
  let first = part * rows;
  let end = min(first + rows, sizes.N);
  for (var n = first; n < end; n++) {
    let scale = rstd[n];
    var dot = 0.0;
    for (var c = i; c < C; c += WG) { dot += dout[n * C + c] * gain[c] * (inp[n * C + c] * scale); }
    let pull = reduce_sum(dot, i) / f32(C);
    for (var c = i; c < C; c += WG) {
      let k = n * C + c;
      var value = scale * (dout[k] * gain[c] - inp[k] * scale * pull);
      if (sizes.accumulate != 0u) { value += dinp[k]; }
      dinp[k] = value;
    }
  }
  for (var c = i; c < C; c += WG) {
    var sum = 0.0;
    for (var n = first; n < end; n++) { sum += dout[n * C + c] * (inp[n * C + c] * rstd[n]); }
    dgain[part * C + c] = sum;
  }
}
