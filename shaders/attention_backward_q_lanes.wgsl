// Causal multi-head attention backward for software GPUs, the queries' half.
//
//   delta[t]    = dout[t] . out[t]
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dq[t]       = sum over s <= t of dscore[t,s] * k[s]
//
// Writes the q part of dqkv, and delta for attention_backward_kv_lanes. Its work is spread as in
// attention_forward_lanes: 8 queries and one block of channels a subgroup, the keys in blocks of LANES * 4.
// reference: attentionBackwardQ()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<vec4f>;    // (B, T, 3C)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;     // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<f32>;            // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<f32>;             // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<f32>;             // (B, T, 3C)
@group(0) @binding(5) var<storage, read> qkv_vectors: array<vec4f>;   // the same
@group(0) @binding(6) var<storage, read> stats: array<vec2f>;         // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(7) var<uniform> sizes: Sizes;

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

// Channel c of four rows of dout from t on, zero where c is past the head's end.
fn load_dout(row: u32, t: u32, head: u32, c: u32) -> vec4f {
  let at = head * sizes.HS + min(c, sizes.HS - 1u);
  let rows = vec4f(
    dout[place_out(row, t, at)],
    dout[place_out(row, t + 1u, at)],
    dout[place_out(row, t + 2u, at)],
    dout[place_out(row, t + 3u, at)],
  );
  return select(vec4f(), rows, c < sizes.HS);
}

// dout . out of four rows from t on.
fn row_delta(row: u32, t: u32, head: u32, lane: u32) -> vec4f {
  var sum = vec4f();
  for (var c0 = 0u; c0 < sizes.HS; c0 += LANES) {
    let at = head * sizes.HS + min(c0 + lane, sizes.HS - 1u);
    let outs = vec4f(
      out[place_out(row, t, at)],
      out[place_out(row, t + 1u, at)],
      out[place_out(row, t + 2u, at)],
      out[place_out(row, t + 3u, at)],
    );
    sum = fma(load_dout(row, t, head, c0 + lane), outs, sum);
  }
  return subgroupAdd(sum);
}

// Largest scores and 1 / sums of four rows from t on.
fn load_stats(line: u32, t: u32) -> mat2x4f {
  let at = min(vec4u(t) + vec4u(0u, 1u, 2u, 3u), vec4u(sizes.T - 1u)) + line;
  return transpose(mat4x2f(stats[at.x], stats[at.y], stats[at.z], stats[at.w]));
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

// Stores channels c .. c+3 of dq of four rows from t on, and in the head's first lane their delta.
fn store(row: u32, head: u32, line: u32, t: u32, c: u32, sums: mat4x4f, deltas: vec4f) {
  let rows = transpose(sums);
  for (var r = 0u; r < 4u; r++) {
    if (c >= sizes.HS || t + r >= sizes.T) { return; }
    dqkv[place(0u, row, t + r, head * sizes.HS + c) / 4u] = rows[r];
    if (c == 0u) { delta[line + t + r] = deltas[r]; }
  }
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
  let t = group.x * 8u;
  let t0 = vec4u(t) + vec4u(0u, 1u, 2u, 3u);
  let t1 = t0 + 4u;
  let scale = 1.0 / sqrt(f32(sizes.HS));
  let softmax0 = load_stats(line, t);
  let softmax1 = load_stats(line, t + 4u);
  let delta0 = row_delta(row, t, head, lane);
  let delta1 = row_delta(row, t + 4u, head, lane);

  var dq0 = mat4x4f();
  var dq1 = mat4x4f();
  for (var first = 0u; first < min(t + 8u, sizes.T); first += LANES * 4u) {
    let s = first + lane * 4u;
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    var dp0 = mat4x4f();
    var dp1 = mat4x4f();
    for (var c0 = 0u; c0 < sizes.HS; c0 += LANES) {
      let q0 = load_rows(0u, row, t, head, c0 + lane);
      let q1 = load_rows(0u, row, t + 4u, head, c0 + lane);
      let d0 = load_dout(row, t, head, c0 + lane);
      let d1 = load_dout(row, t + 4u, head, c0 + lane);
      for (var i = 0u; i < min(LANES, sizes.HS - c0); i += 4u) {
        let k = transpose(load_columns(1u, row, s, head * sizes.HS + c0 + i));
        let v = transpose(load_columns(2u, row, s, head * sizes.HS + c0 + i));
        for (var j = 0u; j < 4u; j++) {
          p0 = add_outer(p0, subgroupShuffle(q0, i + j), k[j]);
          p1 = add_outer(p1, subgroupShuffle(q1, i + j), k[j]);
          dp0 = add_outer(dp0, subgroupShuffle(d0, i + j), v[j]);
          dp1 = add_outer(dp1, subgroupShuffle(d1, i + j), v[j]);
        }
      }
    }
    for (var j = 0u; j < 4u; j++) {
      p0[j] = exp(min(p0[j] * scale - softmax0[0], vec4f())) * softmax0[1];
      p1[j] = exp(min(p1[j] * scale - softmax1[0], vec4f())) * softmax1[1];
      p0[j] = select(vec4f(), p0[j] * (dp0[j] - delta0) * scale, vec4u(s + j) <= t0);
      p1[j] = select(vec4f(), p1[j] * (dp1[j] - delta1) * scale, vec4u(s + j) <= t1);
    }
    for (var l = 0u; l < LANES; l++) {
      for (var j = 0u; j < 4u; j++) {
        let k = load_channels(1u, row, first + l * 4u + j, head * sizes.HS + min(c, sizes.HS - 4u));
        dq0 = add_outer(dq0, subgroupShuffle(p0[j], l), k);
        dq1 = add_outer(dq1, subgroupShuffle(p1[j], l), k);
      }
    }
  }
  store(row, head, line, t, c, dq0, delta0);
  store(row, head, line, t + 4u, c, dq1, delta1);
}
