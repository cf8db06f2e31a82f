// What heads_forward did to q and k, backwards and in place: dqkv holds the gradients of its output, then of its input.
//
//   d[n,h,c]    = dqkv[n,h,c] turned back by its position           normed = qkv * rstd
//   dqkv[n,h,c] = rstd[n,h] * (d * gain[c] - normed * mean_c(d * gain * normed))
//   dgain[c]    = sum over rows and heads of d * normed
//
// v's part is left as it is. A workgroup `rows` rows, Y heads at a time, those of q and then those of k; its part of the
// gains' gradients goes to dgains, where gain_sum adds the parts.
// with: head_pairs
// reference: headsBackward()

override X: u32 = 32u;      // threads of a head, a power of two
override Y: u32 = 4u;       // heads at a time
override PAIRS: u32 = 1u;   // pairs of channels that a thread has at most

// What dqkv and qkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = f32;   // given

struct Sizes {
  N: u32,      // rows, B*T
  T: u32,      // positions
  NH: u32,     // heads of q
  NKV: u32,    // heads of k and of v
  HS: u32,     // channels of a head
  norm: u32,   // 1 or 0, and so the other two
  gain: u32,
  turn: u32,
  rows: u32,   // of a workgroup
  plane: u32,  // numbers from q's parts to k's
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (N, NH + 2 NKV, HS)
@group(0) @binding(1) var<storage, read_write> dgains: array<f32>;     // (2, plane): (workgroups, HS) of q's, of k's
@group(0) @binding(2) var<storage, read> qkv: array<Element>;          // (N, NH + 2 NKV, HS)
@group(0) @binding(3) var<storage, read> rstd: array<f32>;             // (N, NH + NKV)
@group(0) @binding(4) var<storage, read> q_gain: array<f32>;           // (HS)
@group(0) @binding(5) var<storage, read> k_gain: array<f32>;           // (HS)
@group(0) @binding(6) var<storage, read> turns: array<vec2f>;          // (T, HS/2, 2) cos, sin
@group(0) @binding(7) var<uniform> sizes: Sizes;

// Of a thread's pairs the gains' gradients so far: its pair p at [p * X * Y + the thread].
var<workgroup> sums: array<vec2f, X * Y * PAIRS>;

// The gradient of pair i behind norm and gain.
fn gradient_of(head: u32, i: u32, t: u32) -> vec2f {
  let pair = vec2f(f32(dqkv[head + i]), select(0.0, f32(dqkv[head + other(i)]), whole(i)));
  return turned(pair, i, t, -1.0);
}

@compute @workgroup_size(X * Y)
fn heads_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let g = group.x + group.y * groups.x;
  if (g * sizes.rows >= sizes.N) { return; }
  let normed = sizes.NH + sizes.NKV;   // heads; v's come behind them
  for (var k = 0u; k < 2u; k++) {
    let start = select(0u, sizes.NH, k > 0u);
    let end = select(sizes.NH, normed, k > 0u);
    if (sizes.gain != 0u) {
      for (var p = 0u; p < PAIRS; p++) { sums[p * X * Y + i] = vec2f(); }
    }
    for (var n = g * sizes.rows; n < min((g + 1u) * sizes.rows, sizes.N); n++) {
      for (var first = start; first < end; first += Y) {
        let h = first + i / X;
        let pairs = select(0u, half(), h < end);
        let head = (n * (normed + sizes.NKV) + h) * sizes.HS;
        var scale = 1.0;
        var pull = 0.0;
        if (sizes.norm != 0u) {
          if (h < end) { scale = rstd[n * normed + h]; }
          for (var p = 0u; p * X + i % X < pairs; p++) {
            let j = p * X + i % X;
            let x = pair_of(head, j) * scale;
            let d = gradient_of(head, j, n % sizes.T);
            if (sizes.gain != 0u) { sums[p * X * Y + i] += d * x; }
            pull += dot(d * gains_of(h, j), x);
          }
          pull = line_sum(pull, i) / f32(sizes.HS);
        }
        for (var j = i % X; j < pairs; j += X) {
          var d = gradient_of(head, j, n % sizes.T);
          if (sizes.norm != 0u) { d = scale * (d * gains_of(h, j) - pair_of(head, j) * scale * pull); }
          dqkv[head + j] = Element(d.x);
          if (whole(j)) { dqkv[head + other(j)] = Element(d.y); }
        }
      }
    }
    if (sizes.gain != 0u) {
      workgroupBarrier();
      for (var j = i; j < half(); j += X * Y) {
        var sum = vec2f();
        for (var y = 0u; y < Y; y++) { sum += sums[j / X * X * Y + y * X + j % X]; }
        let part = k * sizes.plane + g * sizes.HS;
        dgains[part + j] = sum.x;
        if (whole(j)) { dgains[part + other(j)] = sum.y; }
      }
      workgroupBarrier();   // the sums are read to the end
    }
  }
}
