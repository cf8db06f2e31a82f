// What happens to q and k between their product and attention: RMSNorm of each head, then the turn by its position.
//
//   x[n,h,c]   = qkv[n,h,c] * rstd[n,h] * gain[c]        rstd[n,h] = 1 / sqrt(mean_c qkv[n,h,c]^2 + eps)
//   out[n,h,i] = x[n,h,i] * cos[t,i] - x[n,h,i + HS/2] * sin[t,i]
//   out[n,h,i + HS/2] = x[n,h,i + HS/2] * cos[t,i] + x[n,h,i] * sin[t,i]
//
// The norm, its gains (one for all heads of q, one for those of k) and the turn are there or not; v passes as it is.
// A workgroup a row, Y heads at a time.
// with: head_norms
// reference: headsForward()

override X: u32 = 32u;   // threads of a head, a power of two
override Y: u32 = 4u;    // heads at a time

// What out and qkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = f32;   // given

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (N, NH + 2 NKV, HS)
@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;      // (N, NH + NKV)
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (N, NH + 2 NKV, HS)
@group(0) @binding(3) var<storage, read> q_gain: array<f32>;          // (HS)
@group(0) @binding(4) var<storage, read> k_gain: array<f32>;          // (HS)
@group(0) @binding(5) var<storage, read> turns: array<vec2f>;         // (T, HS/2, 2) cos, sin
@group(0) @binding(6) var<uniform> sizes: Sizes;

@compute @workgroup_size(X * Y)
fn heads_forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  let normed = sizes.NH + sizes.NKV;   // heads; v's come behind them
  let heads = normed + sizes.NKV;
  for (var first = 0u; first < heads; first += Y) {
    let h = first + i / X;
    let head = (n * heads + h) * sizes.HS;
    var scale = 1.0;
    if (sizes.norm != 0u && first < normed) {
      let rstd_h = head_rstd(head, h < normed, i);
      if (h < normed) { scale = rstd_h; }
      if (h < normed && i % X == 0u) { rstd[n * normed + h] = rstd_h; }
    }
    for (var j = i % X; h < heads && j < half(); j += X) {
      var pair = pair_of(head, j);
      if (h < normed) { pair = turned(pair * scale * gains_of(h, j), j, n % sizes.T, 1.0); }
      out[head + j] = Element(pair.x);
      if (whole(j)) { out[head + other(j)] = Element(pair.y); }
    }
  }
}
