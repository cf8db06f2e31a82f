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
// reference: attentionBackwardQ()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

// What out, qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, 3C)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;      // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<Element>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<Element>;          // (B, T, 3C)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

// Where channels c .. c+3 of position t lie in q, k or v (part 0, 1 or 2); past the end the last position's.
fn place(part: u32, row: u32, t: u32, c: u32) -> u32 {
  return (((row + min(t, sizes.T - 1u)) * 3u + part) * sizes.C + c) / 4u;
}

// Channels c .. c+3 of four positions from t on, a position a column.
fn load_four(part: u32, row: u32, t: u32, c: u32) -> mat4x4f {
  return mat4x4f(
    vec4f(qkv[place(part, row, t, c)]),
    vec4f(qkv[place(part, row, t + 1u, c)]),
    vec4f(qkv[place(part, row, t + 2u, c)]),
    vec4f(qkv[place(part, row, t + 3u, c)]),
  );
}

// Where channels c .. c+3 of position t lie in out and dout; past the end the last position's.
fn place_out(row: u32, t: u32, c: u32) -> u32 {
  return ((row + min(t, sizes.T - 1u)) * sizes.C + c) / 4u;
}

// What four lanes from `first` on hold.
fn lanes_from(held: vec4f, first: u32) -> mat4x4f {
  return mat4x4f(
    subgroupShuffle(held, first),
    subgroupShuffle(held, first + 1u),
    subgroupShuffle(held, first + 2u),
    subgroupShuffle(held, first + 3u),
  );
}

// What one lane holds.
fn lane_of(held: mat4x4f, lane: u32) -> mat4x4f {
  return mat4x4f(
    subgroupShuffle(held[0], lane),
    subgroupShuffle(held[1], lane),
    subgroupShuffle(held[2], lane),
    subgroupShuffle(held[3], lane),
  );
}

// A number that a query has, out of the lane that holds it.
fn number_of(held: f32, lane: u32) -> vec4f {
  return vec4f(subgroupShuffle(held, lane));
}

// dout . out of a query.
fn delta_of(row: u32, t: u32, head: u32) -> f32 {
  var sum = vec4f();
  for (var i = 0u; i < sizes.HS; i += 4u) {
    let at = place_out(row, t, head * sizes.HS + i);
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
  let blocks = (sizes.HS + LANES * 4u - 1u) / (LANES * 4u);
  let head = group.y / blocks;
  let c = (group.y % blocks * LANES + lane) * 4u;   // the lane's channels of the head
  let row = group.z * sizes.T;
  let line = (group.z * sizes.NH + head) * sizes.T;
  let t = group.x * LANES * 2u;
  let end = min(t + LANES * 2u, sizes.T);
  let t0 = t + lane;
  let t1 = t0 + LANES;
  let softmax0 = stats[line + min(t0, sizes.T - 1u)];
  let softmax1 = stats[line + min(t1, sizes.T - 1u)];
  let delta0 = delta_of(row, t0, head);
  let delta1 = delta_of(row, t1, head);

  // Four queries each, a column a query; with 4 lanes the second and the fourth stay unused.
  var dq0 = mat4x4f();
  var dq1 = mat4x4f();
  var dq2 = mat4x4f();
  var dq3 = mat4x4f();
  for (var first = 0u; first < end; first += LANES * 4u) {
    let s = first + lane * 4u;
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    var p2 = mat4x4f();
    var p3 = mat4x4f();
    for (var i = 0u; i < sizes.HS; i += 4u) {
      let k = transpose(load_four(1u, row, s, head * sizes.HS + i));
      let q0 = vec4f(qkv[place(0u, row, t0, head * sizes.HS + i)]);
      let q1 = vec4f(qkv[place(0u, row, t1, head * sizes.HS + i)]);
      p0 += k * lanes_from(q0, 0u);
      if (LANES == 8u) { p1 += k * lanes_from(q0, 4u); }
      p2 += k * lanes_from(q1, 0u);
      if (LANES == 8u) { p3 += k * lanes_from(q1, 4u); }
    }
    var dp0 = mat4x4f();
    var dp1 = mat4x4f();
    var dp2 = mat4x4f();
    var dp3 = mat4x4f();
    for (var i = 0u; i < sizes.HS; i += 4u) {
      let v = transpose(load_four(2u, row, s, head * sizes.HS + i));
      let d0 = vec4f(dout[place_out(row, t0, head * sizes.HS + i)]);
      let d1 = vec4f(dout[place_out(row, t1, head * sizes.HS + i)]);
      dp0 += v * lanes_from(d0, 0u);
      if (LANES == 8u) { dp1 += v * lanes_from(d0, 4u); }
      dp2 += v * lanes_from(d1, 0u);
      if (LANES == 8u) { dp3 += v * lanes_from(d1, 4u); }
    }
    p0 = dscores_of(p0, dp0, softmax0, delta0, 0u, t, s);
    if (LANES == 8u) { p1 = dscores_of(p1, dp1, softmax0, delta0, 4u, t + 4u, s); }
    p2 = dscores_of(p2, dp2, softmax1, delta1, 0u, t + LANES, s);
    if (LANES == 8u) { p3 = dscores_of(p3, dp3, softmax1, delta1, 4u, t + LANES + 4u, s); }
    for (var l = 0u; l < LANES && first + l * 4u < end; l++) {
      let k = load_four(1u, row, first + l * 4u, head * sizes.HS + min(c, sizes.HS - 4u));
      dq0 += k * lane_of(p0, l);
      if (LANES == 8u) { dq1 += k * lane_of(p1, l); }
      dq2 += k * lane_of(p2, l);
      if (LANES == 8u) { dq3 += k * lane_of(p3, l); }
    }
  }
  if (group.y % blocks == 0u && t0 < sizes.T) { delta[line + t0] = delta0; }
  if (group.y % blocks == 0u && t1 < sizes.T) { delta[line + t1] = delta1; }
  // A loop that finds the row at run time: less to compile than code for every row.
  let sums = array<mat4x4f, 4>(dq0, dq1, dq2, dq3);
  for (var r = 0u; t + r < end && c < sizes.HS; r++) {
    dqkv[place(0u, row, t + r, head * sizes.HS + c)] = Element(sums[r / LANES * 2u + r % LANES / 4u][r % 4u]);
  }
}
