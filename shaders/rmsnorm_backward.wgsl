// RMSNorm backward.
//
//   dinp[n,c] = rstd[n] * (dout[n,c] - out[n,c] * mean_c(dout[n,c] * out[n,c]))
//
// The forward pass's output is enough: its input is not kept. If accumulate, this is added to dinp, where the
// residual's gradient already stands. A workgroup a row, its threads across channels.
// with: reductions
// reference: rmsnormBackward()

override WG: u32 = 64u;      // threads in a workgroup, a power of two

// What out holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = f32;   // given

struct Sizes {
  N: u32,             // rows, B*T
  C: u32,             // channels
  accumulate: u32,    // 1 or 0
}

@group(0) @binding(0) var<storage, read_write> dinp: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> dout: array<f32>;         // (N, C)
@group(0) @binding(2) var<storage, read> out: array<Out>;          // (N, C)
@group(0) @binding(3) var<storage, read> rstd: array<f32>;         // (N)
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn rmsnorm_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  var dot = 0.0;
  for (var c = i; c < sizes.C; c += WG) { dot += dout[n * sizes.C + c] * f32(out[n * sizes.C + c]); }
  let scale = rstd[n];
  let pull = reduce_sum(dot, i) / f32(sizes.C);
  for (var c = i; c < sizes.C; c += WG) {
    let k = n * sizes.C + c;
    var value = scale * (dout[k] - f32(out[k]) * pull);
    if (sizes.accumulate != 0u) { value += dinp[k]; }
    dinp[k] = value;
  }
}
