// Causal multi-head attention backward for software GPUs, the keys' and values' half.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_lanes. Its work is spread as in
// attention_forward_lanes, with keys for queries: 8 keys are the rows, blocks of LANES * 4 queries the
// columns, four a lane.
// reference: attentionBackwardKv()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<vec4f>;     // (B, T, 3C)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout_vectors: array<vec4f>;   // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<f32>;              // (B, T, 3C)
@group(0) @binding(4) var<storage, read> qkv_vectors: array<vec4f>;    // the same
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

// Where channel c of position t begins in q, k or v (part 0, 1 or 2); past the end the last position's.
fn place(part: u32, row: u32, t: u32, c: u32) -> u32 {
  return ((row + min(t, sizes.T - 1u)) * 3u + part) * sizes.C + c;
}

// Channel c of four positions from t on, zero where c is past the head's end.
fn load_rows(part: u32, row: u32, t: u32, head: u32, c: u32) -> vec4f {
  let at = head * sizes.HS + min(c, sizes.HS - 1u);
  let rows = vec4f(
    qkv[place(part, row, t, at)],
    qkv[place(part, row, t + 1u, at)],
    qkv[place(part, row, t + 2u, at)],
    qkv[place(part, row, t + 3u, at)],
  );
  return select(vec4f(), rows, c < sizes.HS);
}

// Channels c .. c+3 of position t.
fn load_channels(part: u32, row: u32, t: u32, c: u32) -> vec4f {
  return qkv_vectors[place(part, row, t, c) / 4u];
}

// Channels c .. c+3 of four positions from t on, a position a column.
fn load_columns(part: u32, row: u32, t: u32, c: u32) -> mat4x4f {
  return mat4x4f(
    load_channels(part, row, t, c),
    load_channels(part, row, t + 1u, c),
    load_channels(part, row, t + 2u, c),
    load_channels(part, row, t + 3u, c),
  );
}

// Where channel c of position t begins in out and dout; past the end the last position's.
fn place_out(row: u32, t: u32, c: u32) -> u32 {
  return (row + min(t, sizes.T - 1u)) * sizes.C + c;
}

// Channels c .. c+3 of row t of dout.
fn load_dout(row: u32, t: u32, c: u32) -> vec4f {
  return dout_vectors[place_out(row, t, c) / 4u];
}

// sum + rows * columns, an outer product.
fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(rows, vec4f(columns.x), sum[0]),
    fma(rows, vec4f(columns.y), sum[1]),
    fma(rows, vec4f(columns.z), sum[2]),
    fma(rows, vec4f(columns.w), sum[3]),
  );
}

// Stores channels c .. c+3 of four positions from s on into k's or v's part (1 or 2).
fn store(part: u32, row: u32, head: u32, s: u32, c: u32, sums: mat4x4f) {
  let rows = transpose(sums);
  for (var r = 0u; r < 4u; r++) {
    if (c >= sizes.HS || s + r >= sizes.T) { return; }
    dqkv[place(part, row, s + r, head * sizes.HS + c) / 4u] = rows[r];
  }
}

@compute @workgroup_size(LANES)
fn attention_backward_kv_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let blocks = (sizes.HS + LANES * 4u - 1u) / (LANES * 4u);
  let head = group.y / blocks;
  let c = (group.y % blocks * LANES + lane) * 4u;   // the lane's channels of the head
  let row = group.z * sizes.T;
  let line = (group.z * sizes.NH + head) * sizes.T;
  let s = group.x * 8u;
  let s0 = vec4u(s) + vec4u(0u, 1u, 2u, 3u);
  let s1 = s0 + 4u;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  var dk0 = mat4x4f();
  var dk1 = mat4x4f();
  var dv0 = mat4x4f();
  var dv1 = mat4x4f();
  for (var first = s / (LANES * 4u) * (LANES * 4u); first < sizes.T; first += LANES * 4u) {
    let t = first + lane * 4u;
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    var d0 = mat4x4f();
    var d1 = mat4x4f();
    for (var c0 = 0u; c0 < sizes.HS; c0 += LANES) {
      let k0 = load_rows(1u, row, s, head, c0 + lane);
      let k1 = load_rows(1u, row, s + 4u, head, c0 + lane);
      let v0 = load_rows(2u, row, s, head, c0 + lane);
      let v1 = load_rows(2u, row, s + 4u, head, c0 + lane);
      for (var i = 0u; i < min(LANES, sizes.HS - c0); i += 4u) {
        let at = head * sizes.HS + c0 + i;
        let q = transpose(load_columns(0u, row, t, at));
        let dout = transpose(mat4x4f(
          load_dout(row, t, at),
          load_dout(row, t + 1u, at),
          load_dout(row, t + 2u, at),
          load_dout(row, t + 3u, at),
        ));
        for (var j = 0u; j < 4u; j++) {
          p0 = add_outer(p0, subgroupShuffle(k0, i + j), q[j]);
          p1 = add_outer(p1, subgroupShuffle(k1, i + j), q[j]);
          d0 = add_outer(d0, subgroupShuffle(v0, i + j), dout[j]);
          d1 = add_outer(d1, subgroupShuffle(v1, i + j), dout[j]);
        }
      }
    }
    for (var j = 0u; j < 4u; j++) {
      let at = line + min(t + j, sizes.T - 1u);
      let softmax = stats[at];
      let counts0 = (vec4u(t + j) >= s0) & vec4<bool>(t + j < sizes.T);
      let counts1 = (vec4u(t + j) >= s1) & vec4<bool>(t + j < sizes.T);
      p0[j] = select(vec4f(), exp(min(p0[j] * scale - softmax.x, vec4f())) * softmax.y, counts0);
      p1[j] = select(vec4f(), exp(min(p1[j] * scale - softmax.x, vec4f())) * softmax.y, counts1);
      d0[j] = p0[j] * (d0[j] - delta[at]) * scale;
      d1[j] = p1[j] * (d1[j] - delta[at]) * scale;
    }
    for (var l = 0u; l < LANES; l++) {
      for (var j = 0u; j < 4u; j++) {
        let at = head * sizes.HS + min(c, sizes.HS - 4u);
        let q = load_channels(0u, row, first + l * 4u + j, at);
        let dout = load_dout(row, first + l * 4u + j, at);
        dk0 = add_outer(dk0, subgroupShuffle(d0[j], l), q);
        dk1 = add_outer(dk1, subgroupShuffle(d1[j], l), q);
        dv0 = add_outer(dv0, subgroupShuffle(p0[j], l), dout);
        dv1 = add_outer(dv1, subgroupShuffle(p1[j], l), dout);
      }
    }
  }
  store(1u, row, head, s, c, dk0);
  store(1u, row, head, s + 4u, c, dk1);
  store(2u, row, head, s, c, dv0);
  store(2u, row, head, s + 4u, c, dv1);
}
