// Causal multi-head attention forward for software GPUs, with the softmax made in one pass over the keys.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// A subgroup is a workgroup, so there is no barrier. It serves 8 queries of a head, and of their output one
// block of LANES * 4 channels. A tile of 8 rows is two 4 x 4 matrices a lane, whose columns are vectors of
// four rows. The keys come in blocks of LANES * 4, four a lane: the block's scores are such a tile, and
// its exponentials go round by shuffles for the product with the values. stats keeps each row's largest
// score and 1 / sum of exponentials for the backward pass.
// reference: attentionForward()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;     // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<f32>;             // (B, T, 3C)
@group(0) @binding(3) var<storage, read> qkv_vectors: array<vec4f>;   // the same
@group(0) @binding(4) var<uniform> sizes: Sizes;

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

// sum + rows * columns, an outer product.
fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(rows, vec4f(columns.x), sum[0]),
    fma(rows, vec4f(columns.y), sum[1]),
    fma(rows, vec4f(columns.z), sum[2]),
    fma(rows, vec4f(columns.w), sum[3]),
  );
}

// Stores four rows from t on: channels c .. c+3 of their outputs, and in the head's first lane their stats.
fn store(row: u32, head: u32, line: u32, t: u32, c: u32, sums: mat4x4f, largest: vec4f, sum: vec4f) {
  let rows = transpose(sums);
  for (var r = 0u; r < 4u; r++) {
    if (c >= sizes.HS || t + r >= sizes.T) { return; }
    out[((row + t + r) * sizes.C + head * sizes.HS + c) / 4u] = rows[r] / sum[r];
    if (c == 0u) { stats[line + t + r] = vec2f(largest[r], 1.0 / sum[r]); }
  }
}

@compute @workgroup_size(LANES)
fn attention_forward_lanes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let blocks = (sizes.HS + LANES * 4u - 1u) / (LANES * 4u);
  let head = group.y / blocks;
  let c = (group.y % blocks * LANES + lane) * 4u;   // the lane's channels of the head
  let row = group.z * sizes.T;
  let t = group.x * 8u;
  let t0 = vec4u(t) + vec4u(0u, 1u, 2u, 3u);
  let t1 = t0 + 4u;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  var largest0 = vec4f(-3.4e38);
  var largest1 = vec4f(-3.4e38);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var out0 = mat4x4f();
  var out1 = mat4x4f();
  for (var first = 0u; first < min(t + 8u, sizes.T); first += LANES * 4u) {
    let s = first + lane * 4u;
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    for (var c0 = 0u; c0 < sizes.HS; c0 += LANES) {
      let q0 = load_rows(0u, row, t, head, c0 + lane);
      let q1 = load_rows(0u, row, t + 4u, head, c0 + lane);
      for (var i = 0u; i < min(LANES, sizes.HS - c0); i += 4u) {
        let k = transpose(load_columns(1u, row, s, head * sizes.HS + c0 + i));
        for (var j = 0u; j < 4u; j++) {
          p0 = add_outer(p0, subgroupShuffle(q0, i + j), k[j]);
          p1 = add_outer(p1, subgroupShuffle(q1, i + j), k[j]);
        }
      }
    }
    var highest0 = largest0;
    var highest1 = largest1;
    for (var j = 0u; j < 4u; j++) {
      p0[j] = select(vec4f(-3.4e38), p0[j] * scale, vec4u(s + j) <= t0);
      p1[j] = select(vec4f(-3.4e38), p1[j] * scale, vec4u(s + j) <= t1);
      highest0 = max(highest0, p0[j]);
      highest1 = max(highest1, p1[j]);
    }
    highest0 = subgroupMax(highest0);
    highest1 = subgroupMax(highest1);
    let rescale0 = exp(largest0 - highest0);
    let rescale1 = exp(largest1 - highest1);
    largest0 = highest0;
    largest1 = highest1;
    var part0 = vec4f();
    var part1 = vec4f();
    for (var j = 0u; j < 4u; j++) {
      p0[j] = exp(p0[j] - largest0);
      p1[j] = exp(p1[j] - largest1);
      part0 += p0[j];
      part1 += p1[j];
      out0[j] *= rescale0;
      out1[j] *= rescale1;
    }
    sum0 = sum0 * rescale0 + subgroupAdd(part0);
    sum1 = sum1 * rescale1 + subgroupAdd(part1);
    for (var l = 0u; l < LANES; l++) {
      for (var j = 0u; j < 4u; j++) {
        let v = load_channels(2u, row, first + l * 4u + j, head * sizes.HS + min(c, sizes.HS - 4u));
        out0 = add_outer(out0, subgroupShuffle(p0[j], l), v);
        out1 = add_outer(out1, subgroupShuffle(p1[j], l), v);
      }
    }
  }
  let line = (group.z * sizes.NH + head) * sizes.T;
  store(row, head, line, t, c, out0, largest0, sum0);
  store(row, head, line, t + 4u, c, out1, largest1, sum1);
}
