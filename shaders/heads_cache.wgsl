// What happens to q, k and v between their product and attention where texts are continued: the norm of each head of q and
// k and the turn by its position, as in heads_forward, and then k and v go where attention finds them again.
//
//   x[n,h,c]   = qkv[n,h,c] * rstd[n,h] * gain[c]        rstd[n,h] = 1 / sqrt(mean_c qkv[n,h,c]^2 + eps)
//   y[n,h,i]   = x[n,h,i] * cos[t,i] - x[n,h,i + HS/2] * sin[t,i]        t = position[n]
//   y[n,h,i + HS/2] = x[n,h,i + HS/2] * cos[t,i] + x[n,h,i] * sin[t,i]
//   q[n,h] = y[n,h];   keys[slot[n],g,:,t] = y[n,NH + g];   values[slot[n],g,t,:] = qkv[n,NH + NKV + g]
//
// The norm, its gains (one for all heads of q, one for those of k) and the turn are there or not. A workgroup a row,
// Y heads at a time.
// with: head_norms, text_row
// reference: headsCache()

override X: u32 = 32u;   // threads of a head, a power of two
override Y: u32 = 4u;    // heads at a time

// What keys and values hold: numbers in f32, or in f16; all arithmetic is f32.
alias Cached = f32;   // given

@group(0) @binding(0) var<storage, read_write> q: array<f32>;           // (N, NH, HS)
@group(0) @binding(1) var<storage, read_write> keys: array<Cached>;     // (slots, NKV, HS, T)
@group(0) @binding(2) var<storage, read_write> values: array<Cached>;   // (slots, NKV, T, HS)
@group(0) @binding(3) var<storage, read> qkv: array<f32>;               // (N, NH + 2 NKV, HS)
@group(0) @binding(4) var<storage, read> rows: array<Row>;              // (N)
@group(0) @binding(5) var<storage, read> q_gain: array<f32>;            // (HS)
@group(0) @binding(6) var<storage, read> k_gain: array<f32>;            // (HS)
@group(0) @binding(7) var<storage, read> turns: array<vec2f>;           // (T, HS/2, 2) cos, sin
@group(0) @binding(8) var<uniform> sizes: Sizes;

fn store(n: u32, h: u32, c: u32, value: f32) {
  if (h < sizes.NH) {
    q[(n * sizes.NH + h) * sizes.HS + c] = value;
    return;
  }
  let g = (h - sizes.NH) % sizes.NKV;
  let t = rows[n].position;
  let head = rows[n].slot * sizes.NKV + g;
  if (h < sizes.NH + sizes.NKV) {
    keys[(head * sizes.HS + c) * sizes.T + t] = Cached(value);
  } else {
    values[(head * sizes.T + t) * sizes.HS + c] = Cached(value);
  }
}

@compute @workgroup_size(X * Y)
fn heads_cache(
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
      let rstd = head_rstd(head, h < normed, i);
      if (h < normed) { scale = rstd; }
    }
    for (var j = i % X; h < heads && j < half(); j += X) {
      var pair = pair_of(head, j);
      if (h < normed) { pair = turned(pair * scale * gains_of(h, j), j, rows[n].position, 1.0); }
      store(n, h, j, pair.x);
      if (whole(j)) { store(n, h, other(j), pair.y); }
    }
  }
}
