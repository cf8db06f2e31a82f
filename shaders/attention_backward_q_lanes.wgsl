// Causal multi-head attention backward for software GPUs, the queries' half.
//
//   delta[t]    = dout[t] . out[t]
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dq[t]       = sum over s <= t of dscore[t,s] * k[s]
//
// Writes the q part of dqkv, and delta for attention_backward_kv_lanes. Its work is spread as in
// attention_forward_lanes: LANES * 2 queries and one block of channels a subgroup, the keys in blocks of
// LANES * 4. What belongs to a query, a lane holds: lane l that of queries t + l and t + LANES + l.
// with: attention_lanes
// reference: attentionBackwardQ()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

// What out, qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;      // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<Element>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

// A number that a query has, out of the lane that holds it.
fn number_of(held: f32, lane: u32) -> vec4f {
  return vec4f(subgroupShuffle(held, lane));
}

// dout . out of a query.
fn delta_of(base: u32, t: u32) -> f32 {
  var sum = vec4f();
  for (var i = 0u; i < sizes.HS; i += 4u) {
    let at = place_out(base, t, i);
    sum = fma(vec4f(dout[at]), vec4f(out[at]), sum);
  }
  return (sum.x + sum.y) + (sum.z + sum.w);
}

// Gradients of the scores of a query with keys s .. s+3, for the lane that holds the query's numbers.
fn dscores(p: vec4f, dp: vec4f, softmax: vec2f, delta: f32, lane: u32, t: u32, s: u32) -> vec4f {
  let scale = 1.0 / sqrt(f32(sizes.HS));
  let score = p * scale - number_of(softmax.x, lane);
  let gradient = exp(min(score, vec4f())) * number_of(softmax.y, lane) * (dp - number_of(delta, lane)) * scale;
  return select(vec4f(), gradient, vec4u(s) + vec4u(0u, 1u, 2u, 3u) <= vec4u(t));
}

// Those of four queries from t on, whose numbers lanes from `lane` on hold.
fn dscores_of(p: mat4x4f, dp: mat4x4f, softmax: vec2f, delta: f32, lane: u32, t: u32, s: u32) -> mat4x4f {
  return mat4x4f(
    dscores(p[0], dp[0], softmax, delta, lane, t, s),
    dscores(p[1], dp[1], softmax, delta, lane + 1u, t + 1u, s),
    dscores(p[2], dp[2], softmax, delta, lane + 2u, t + 2u, s),
    dscores(p[3], dp[3], softmax, delta, lane + 3u, t + 3u, s),
  );
}

@compute @workgroup_size(LANES)
fn attention_backward_q_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let head = group.y / blocks();
  let block = group.y % blocks();
  let c = (block * LANES + lane) * 4u;   // the lane's channels of the head
  let at = vectors_of(group.z, head);
  let t = group.x * LANES * 2u;
  let end = min(t + LANES * 2u, sizes.T);
  let t0 = t + lane;
  let t1 = t0 + LANES;
  let softmax0 = stats[at.row + min(t0, sizes.T - 1u)];
  let softmax1 = stats[at.row + min(t1, sizes.T - 1u)];
  let delta0 = delta_of(at.out, t0);
  let delta1 = delta_of(at.out, t1);

  var dq = Rows();
  for (var first = 0u; first < end; first += LANES * 4u) {
    let s = first + lane * 4u;
    var p = products(at.q, t0, at.k, s);
    var dp = Rows();
    for (var i = 0u; i < sizes.HS; i += 4u) {
      let v = transpose(load_four(at.v, s, i));
      add_held(&dp, v, vec4f(dout[place_out(at.out, t0, i)]), vec4f(dout[place_out(at.out, t1, i)]));
    }
    p.a = dscores_of(p.a, dp.a, softmax0, delta0, 0u, t, s);
    if (LANES == 8u) { p.b = dscores_of(p.b, dp.b, softmax0, delta0, 4u, t + 4u, s); }
    p.c = dscores_of(p.c, dp.c, softmax1, delta1, 0u, t + LANES, s);
    if (LANES == 8u) { p.d = dscores_of(p.d, dp.d, softmax1, delta1, 4u, t + LANES + 4u, s); }
    for (var l = 0u; l < LANES && first + l * 4u < end; l++) {
      add_lane(&dq, load_four(at.k, first + l * 4u, min(c, sizes.HS - 4u)), p, l);
    }
  }
  if (block == 0u && t0 < sizes.T) { delta[at.row + t0] = delta0; }
  if (block == 0u && t1 < sizes.T) { delta[at.row + t1] = delta1; }
  let sums = fours(dq);
  for (var r = 0u; t + r < end && c < sizes.HS; r++) {
    dqkv[place(at.q, t + r, c)] = Element(sums[four_of(r)][r % 4u]);
  }
}
