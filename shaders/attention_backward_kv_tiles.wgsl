// Causal multi-head attention backward in tiles, the keys' and values' half.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_tiles. A workgroup serves 64
// keys of a head and 64 of their channels, the queries 32 at a time, spread as in attention_forward_tiles
// with keys for queries. It is two teams of 8 x 8 threads, side by side with two tiles each:
//   team 0   k and q give the scores, hence p;             p and dout give dv
//   team 1   v and dout the gradients of p, hence dscore;  dscore and q give dk
// reference: attentionBackwardKv()

override DEPTH: u32 = 8u;     // vectors in a chunk, 1, 4 or 8: a divisor of HS / 4
override WIDE: bool = true;   // whether a head has more than 32 channels

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

// Row y + 8i at [i][y]. Vector d of row y lies at d ^ y where threads read down a column: in a bank of its own.
alias Tile = array<array<array<vec4f, 8>, 8>, 8>;
var<workgroup> lefts: array<Tile, 2>;    // k, p of team 0; v, dscore of team 1
var<workgroup> rights: array<Tile, 2>;   // q, dout; dout, q, where vectors from 8 on are at [4 + i]

// Where vector 0 of a position begins, or of the last one: in q, k and v, and in dout.
fn place(position: u32) -> u32 { return min(position, sizes.T - 1u) * (sizes.C / 4u * 3u); }
fn place_out(position: u32) -> u32 { return min(position, sizes.T - 1u) * (sizes.C / 4u); }

// Vectors c .. c + DEPTH - 1 of 64 keys or values to the left.
fn stage_left(team: u32, base: u32, s0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
    lefts[team][row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(qkv[base + place(s0 + row) + c + d]);
  }
}

// The same of 32 queries to the right, or of their outputs' gradients.
fn stage_right(team: u32, gradients: bool, base: u32, t0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  if (gradients) {
    for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
      rights[team][row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(dout[base + place_out(t0 + row) + c + d]);
    }
  } else {
    for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
      rights[team][row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(qkv[base + place(t0 + row) + c + d]);
    }
  }
}

// The 16 vectors from `block` on of the same; past the head's last it comes again.
fn stage_block(team: u32, gradients: bool, base: u32, t0: u32, block: u32, thread: u32) {
  let d = thread % 16u;
  let c = min(block + d, sizes.HS / 4u - 1u);
  if (gradients) {
    for (var row = thread / 16u; row < 32u; row += 4u) {
      rights[team][row / 8u + d / 8u * 4u][row % 8u][d % 8u] = vec4f(dout[base + place_out(t0 + row) + c]);
    }
  } else {
    for (var row = thread / 16u; row < 32u; row += 4u) {
      rights[team][row / 8u + d / 8u * 4u][row % 8u][d % 8u] = vec4f(qkv[base + place(t0 + row) + c]);
    }
  }
}

// sum + m * v
fn add(sum: vec4f, m: mat4x4f, v: vec4f) -> vec4f {
  let half = fma(vec4f(v.y), m[1], fma(vec4f(v.x), m[0], sum));
  return fma(vec4f(v.w), m[3], fma(vec4f(v.z), m[2], half));
}

// sums + m * rows, where every column is a row's vector.
fn add_product(sums: mat4x4f, m: mat4x4f, rows: mat4x4f) -> mat4x4f {
  return mat4x4f(
    add(sums[0], m, rows[0]), add(sums[1], m, rows[1]), add(sums[2], m, rows[2]), add(sums[3], m, rows[3]),
  );
}

// Vector d of the rows y + 8i on the left, four of them from i on.
fn left_rows(team: u32, i: u32, y: u32, d: u32) -> mat4x4f {
  return mat4x4f(
    lefts[team][i][y][d ^ y], lefts[team][i + 1u][y][d ^ y],
    lefts[team][i + 2u][y][d ^ y], lefts[team][i + 3u][y][d ^ y],
  );
}

fn store_left(team: u32, i: u32, y: u32, d: u32, rows: mat4x4f) {
  lefts[team][i][y][d ^ y] = rows[0];
  lefts[team][i + 1u][y][d ^ y] = rows[1];
  lefts[team][i + 2u][y][d ^ y] = rows[2];
  lefts[team][i + 3u][y][d ^ y] = rows[3];
}

// Vector d of the rows x + 8j on the right, a number of each a column.
fn right_rows(team: u32, x: u32, d: u32) -> mat4x4f {
  return transpose(mat4x4f(
    rights[team][0][x][d ^ x], rights[team][1][x][d ^ x],
    rights[team][2][x][d ^ x], rights[team][3][x][d ^ x],
  ));
}

// Vector x (i = 0) or x + 8 (i = 4) of the rows n + 8j on the right.
fn right_values(team: u32, i: u32, n: u32, x: u32) -> mat4x4f {
  return mat4x4f(
    rights[team][i][n][x], rights[team][i + 1u][n][x],
    rights[team][i + 2u][n][x], rights[team][i + 3u][n][x],
  );
}

// Four keys' weights, 0 for the queries before the key and those past the end.
fn softmax(scores: mat4x4f, largest: vec4f, inverse: vec4f, queries: vec4u, s: u32) -> mat4x4f {
  let none = vec4f();
  let real = queries < vec4u(sizes.T);
  return mat4x4f(
    select(none, exp(min(scores[0] - largest, none)) * inverse, real & (queries >= vec4u(s))),
    select(none, exp(min(scores[1] - largest, none)) * inverse, real & (queries >= vec4u(s + 8u))),
    select(none, exp(min(scores[2] - largest, none)) * inverse, real & (queries >= vec4u(s + 16u))),
    select(none, exp(min(scores[3] - largest, none)) * inverse, real & (queries >= vec4u(s + 24u))),
  );
}

// Of four keys: p * (dp - less).
fn dscores(p: mat4x4f, dp: mat4x4f, less: vec4f) -> mat4x4f {
  return mat4x4f(p[0] * (dp[0] - less), p[1] * (dp[1] - less), p[2] * (dp[2] - less), p[3] * (dp[3] - less));
}

fn store(base: u32, s: u32, c: u32, value: vec4f) {
  if (s < sizes.T && c * 4u < sizes.HS) { dqkv[base + s * (sizes.C / 4u * 3u) + c] = Element(value); }
}

fn store_rows(base: u32, s: u32, c: u32, rows: mat4x4f) {
  store(base, s, c, rows[0]);
  store(base, s + 8u, c, rows[1]);
  store(base, s + 16u, c, rows[2]);
  store(base, s + 24u, c, rows[3]);
}

@compute @workgroup_size(128)
fn attention_backward_kv_tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let team = i / 64u;
  let thread = i % 64u;
  let scores = team == 0u;   // whether the thread makes the scores, or else the gradients of p
  // Neighbouring threads share a row or a column, so that a subgroup reads few vectors at a time.
  let x = (thread >> 1u) & 7u;
  let y = (thread & 1u) | ((thread >> 3u) & 6u);
  let blocks = (sizes.HS + 63u) / 64u;
  let head = group.x / blocks;
  let block = group.x % blocks * 16u;   // the first of the workgroup's channel vectors
  let s0 = group.z * 64u;
  let s = s0 + y;
  let row = group.y * sizes.T;
  let o = row * (sizes.C / 4u) + head * (sizes.HS / 4u);
  let q = row * (sizes.C / 4u * 3u) + head * (sizes.HS / 4u);
  let k = q + sizes.C / 4u;
  let v = k + sizes.C / 4u;
  let line = (group.y * sizes.NH + head) * sizes.T;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  var sum0 = mat4x4f();   // of dv in team 0, of dk in team 1: rows 0 .. 3, vector x
  var sum1 = mat4x4f();   // rows 4 .. 7
  var far0 = mat4x4f();   // rows 0 .. 3, vector x + 8
  var far1 = mat4x4f();
  for (var t0 = s0; t0 < sizes.T; t0 += 32u) {
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
      workgroupBarrier();   // all tiles are read to the end
      stage_left(team, select(v, k, scores), s0, c, thread);
      stage_right(team, !scores, select(o, q, scores), t0, c, thread);
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let queries = right_rows(team, x, d);
        p0 = add_product(p0, queries, left_rows(team, 0u, y, d));
        p1 = add_product(p1, queries, left_rows(team, 4u, y, d));
      }
    }
    let queries = vec4u(t0 + x) + vec4u(0u, 8u, 16u, 24u);
    let at = vec4u(line) + min(queries, vec4u(sizes.T - 1u));
    workgroupBarrier();
    stage_block(team, scores, select(q, o, scores), t0, block, thread);
    if (scores) {
      let largest = vec4f(stats[at.x].x, stats[at.y].x, stats[at.z].x, stats[at.w].x);
      let inverse = vec4f(stats[at.x].y, stats[at.y].y, stats[at.z].y, stats[at.w].y);
      store_left(0u, 0u, y, x, softmax(p0 * scale, largest, inverse, queries, s));
      store_left(0u, 4u, y, x, softmax(p1 * scale, largest, inverse, queries, s + 32u));
    }
    workgroupBarrier();
    if (!scores) {
      let less = vec4f(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
      store_left(1u, 0u, y, x, dscores(left_rows(0u, 0u, y, x), p0, less) * scale);
      store_left(1u, 4u, y, x, dscores(left_rows(0u, 4u, y, x), p1, less) * scale);
    }
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) {
      let near = right_values(team, 0u, n, x);
      let far = right_values(team, 4u, n, x);
      p0 = left_rows(team, 0u, y, n);
      sum0 = add_product(sum0, near, p0);
      if (WIDE) { far0 = add_product(far0, far, p0); }
      p1 = left_rows(team, 4u, y, n);
      sum1 = add_product(sum1, near, p1);
      if (WIDE) { far1 = add_product(far1, far, p1); }
    }
  }
  let part = select(k, v, scores);
  store_rows(part, s, block + x, sum0);
  store_rows(part, s + 32u, block + x, sum1);
  if (WIDE) {
    store_rows(part, s, block + x + 8u, far0);
    store_rows(part, s + 32u, block + x + 8u, far1);
  }
}
