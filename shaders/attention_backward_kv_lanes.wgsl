// Causal multi-head attention backward for software GPUs, the keys' and values' half.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_lanes. Its work is spread as in
// attention_forward_lanes, with keys for queries: LANES * 2 keys and one block of channels a subgroup, the
// queries in blocks of LANES * 4, four a lane.
// reference: attentionBackwardKv()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

// What qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, 3C)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<Element>;          // (B, T, 3C)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

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

// Channels c .. c+3 of dout at four positions from t on, a position a column.
fn load_dout(row: u32, t: u32, c: u32) -> mat4x4f {
  return mat4x4f(
    vec4f(dout[place_out(row, t, c)]),
    vec4f(dout[place_out(row, t + 1u, c)]),
    vec4f(dout[place_out(row, t + 2u, c)]),
    vec4f(dout[place_out(row, t + 3u, c)]),
  );
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

// What queries t .. t+3 have, a number each.
struct Queries {
  t: vec4u,
  largest: vec4f,
  share: vec4f,   // 1 / sum of exponentials, 0 past the end
  delta: vec4f,
}

fn load_queries(line: u32, first: u32) -> Queries {
  let t = vec4u(first) + vec4u(0u, 1u, 2u, 3u);
  let at = line + min(t, vec4u(sizes.T - 1u));
  let softmax = transpose(mat4x2f(stats[at.x], stats[at.y], stats[at.z], stats[at.w]));
  let share = select(vec4f(), softmax[1], t < vec4u(sizes.T));
  return Queries(t, softmax[0], share, vec4f(delta[at.x], delta[at.y], delta[at.z], delta[at.w]));
}

// Four keys from s on with the queries: probabilities out of q . k,
fn softmax_of(products: mat4x4f, queries: Queries, s: u32) -> mat4x4f {
  let scale = 1.0 / sqrt(f32(sizes.HS));
  var p = products;
  for (var r = 0u; r < 4u; r++) {
    let share = select(vec4f(), queries.share, queries.t >= vec4u(s + r));
    p[r] = exp(min(p[r] * scale - queries.largest, vec4f())) * share;
  }
  return p;
}

// and gradients of the scores out of these and dout . v.
fn dscores_of(p: mat4x4f, products: mat4x4f, queries: Queries) -> mat4x4f {
  let scale = 1.0 / sqrt(f32(sizes.HS));
  return mat4x4f(
    p[0] * (products[0] - queries.delta) * scale,
    p[1] * (products[1] - queries.delta) * scale,
    p[2] * (products[2] - queries.delta) * scale,
    p[3] * (products[3] - queries.delta) * scale,
  );
}

@compute @workgroup_size(LANES)
fn attention_backward_kv_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let blocks = (sizes.HS + LANES * 4u - 1u) / (LANES * 4u);
  let head = group.y / blocks;
  let c = (group.y % blocks * LANES + lane) * 4u;   // the lane's channels of the head
  let at = head * sizes.HS + min(c, sizes.HS - 4u);
  let row = group.z * sizes.T;
  let line = (group.z * sizes.NH + head) * sizes.T;
  let s = group.x * LANES * 2u;
  let s0 = s + lane;
  let s1 = s0 + LANES;

  // Four keys each, a column a key; with 4 lanes the second and the fourth stay unused.
  var dk0 = mat4x4f();
  var dk1 = mat4x4f();
  var dk2 = mat4x4f();
  var dk3 = mat4x4f();
  var dv0 = mat4x4f();
  var dv1 = mat4x4f();
  var dv2 = mat4x4f();
  var dv3 = mat4x4f();
  for (var first = s / (LANES * 4u) * (LANES * 4u); first < sizes.T; first += LANES * 4u) {
    let t = first + lane * 4u;
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    var p2 = mat4x4f();
    var p3 = mat4x4f();
    for (var i = head * sizes.HS; i < (head + 1u) * sizes.HS; i += 4u) {
      let q = transpose(load_four(0u, row, t, i));
      let k0 = vec4f(qkv[place(1u, row, s0, i)]);
      let k1 = vec4f(qkv[place(1u, row, s1, i)]);
      p0 += q * lanes_from(k0, 0u);
      if (LANES == 8u) { p1 += q * lanes_from(k0, 4u); }
      p2 += q * lanes_from(k1, 0u);
      if (LANES == 8u) { p3 += q * lanes_from(k1, 4u); }
    }
    var d0 = mat4x4f();
    var d1 = mat4x4f();
    var d2 = mat4x4f();
    var d3 = mat4x4f();
    for (var i = head * sizes.HS; i < (head + 1u) * sizes.HS; i += 4u) {
      let gradient = transpose(load_dout(row, t, i));
      let v0 = vec4f(qkv[place(2u, row, s0, i)]);
      let v1 = vec4f(qkv[place(2u, row, s1, i)]);
      d0 += gradient * lanes_from(v0, 0u);
      if (LANES == 8u) { d1 += gradient * lanes_from(v0, 4u); }
      d2 += gradient * lanes_from(v1, 0u);
      if (LANES == 8u) { d3 += gradient * lanes_from(v1, 4u); }
    }
    let queries = load_queries(line, t);
    p0 = softmax_of(p0, queries, s);
    d0 = dscores_of(p0, d0, queries);
    if (LANES == 8u) {
      p1 = softmax_of(p1, queries, s + 4u);
      d1 = dscores_of(p1, d1, queries);
    }
    p2 = softmax_of(p2, queries, s + LANES);
    d2 = dscores_of(p2, d2, queries);
    if (LANES == 8u) {
      p3 = softmax_of(p3, queries, s + LANES + 4u);
      d3 = dscores_of(p3, d3, queries);
    }
    for (var l = 0u; l < LANES && first + l * 4u < sizes.T; l++) {
      let gradient = load_dout(row, first + l * 4u, at);
      dv0 += gradient * lane_of(p0, l);
      if (LANES == 8u) { dv1 += gradient * lane_of(p1, l); }
      dv2 += gradient * lane_of(p2, l);
      if (LANES == 8u) { dv3 += gradient * lane_of(p3, l); }
    }
    for (var l = 0u; l < LANES && first + l * 4u < sizes.T; l++) {
      let q = load_four(0u, row, first + l * 4u, at);
      dk0 += q * lane_of(d0, l);
      if (LANES == 8u) { dk1 += q * lane_of(d1, l); }
      dk2 += q * lane_of(d2, l);
      if (LANES == 8u) { dk3 += q * lane_of(d3, l); }
    }
  }
  // A loop that finds the row at run time: less to compile than code for every row.
  let dk = array<mat4x4f, 4>(dk0, dk1, dk2, dk3);
  let dv = array<mat4x4f, 4>(dv0, dv1, dv2, dv3);
  for (var r = 0u; r < LANES * 2u && s + r < sizes.T && c < sizes.HS; r++) {
    let four = r / LANES * 2u + r % LANES / 4u;
    dqkv[place(1u, row, s + r, at)] = Element(dk[four][r % 4u]);
    dqkv[place(2u, row, s + r, at)] = Element(dv[four][r % 4u]);
  }
}
