// Causal multi-head attention backward for software GPUs, the keys' and values' half.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
// summed over the heads of q that share the key's, one after the other.
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_lanes. Its work is spread as in
// attention_forward_lanes, with keys for queries: LANES * 2 keys and one block of channels a subgroup, the
// queries in blocks of LANES * 4, four a lane.
// with: attention_lanes
// reference: attentionBackwardKv()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

// What qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

// Channels c .. c+3 of dout at four positions from t on, a position a column.
fn load_dout(base: u32, t: u32, c: u32) -> mat4x4f {
  return mat4x4f(
    vec4f(dout[place_out(base, t, c)]),
    vec4f(dout[place_out(base, t + 1u, c)]),
    vec4f(dout[place_out(base, t + 2u, c)]),
    vec4f(dout[place_out(base, t + 3u, c)]),
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
  let kv_head = group.y / blocks();
  let c = (group.y % blocks() * LANES + lane) * 4u;   // the lane's channels of the head
  let near = min(c, sizes.HS - 4u);
  let own = vectors_of(group.z, kv_head * sharers());
  let s = group.x * LANES * 2u;
  let s0 = s + lane;

  var dk = Rows();
  var dv = Rows();
  for (var n = 0u; n < sharers(); n++) {
    let at = vectors_of(group.z, kv_head * sharers() + n);
    for (var first = s / (LANES * 4u) * (LANES * 4u); first < sizes.T; first += LANES * 4u) {
      let t = first + lane * 4u;
      var p = products(at.k, s0, at.q, t);
      var d = Rows();   // dout . v, then gradients of the scores
      for (var i = 0u; i < sizes.HS; i += 4u) {
        add_held(&d, transpose(load_dout(at.out, t, i)), load(at.v, s0, i), load(at.v, s0 + LANES, i));
      }
      let queries = load_queries(at.row, t);
      p.a = softmax_of(p.a, queries, s);
      d.a = dscores_of(p.a, d.a, queries);
      if (LANES == 8u) {
        p.b = softmax_of(p.b, queries, s + 4u);
        d.b = dscores_of(p.b, d.b, queries);
      }
      p.c = softmax_of(p.c, queries, s + LANES);
      d.c = dscores_of(p.c, d.c, queries);
      if (LANES == 8u) {
        p.d = softmax_of(p.d, queries, s + LANES + 4u);
        d.d = dscores_of(p.d, d.d, queries);
      }
      for (var l = 0u; l < LANES && first + l * 4u < sizes.T; l++) {
        add_lane(&dv, load_dout(at.out, first + l * 4u, near), p, l);
      }
      for (var l = 0u; l < LANES && first + l * 4u < sizes.T; l++) {
        add_lane(&dk, load_four(at.q, first + l * 4u, near), d, l);
      }
    }
  }
  let k = fours(dk);
  let v = fours(dv);
  for (var r = 0u; r < LANES * 2u && s + r < sizes.T && c < sizes.HS; r++) {
    dqkv[place(own.k, s + r, c)] = Element(k[four_of(r)][r % 4u]);
    dqkv[place(own.v, s + r, c)] = Element(v[four_of(r)][r % 4u]);
  }
}
