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

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<vec4f>;   // (B, T, 3C)
@group(0) @binding(1) var<storage, read> delta: array<f32>;          // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;          // (B, T, 3C)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;        // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

// A vector of each of a thread's 8 rows.
struct Rows { r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f, r4: vec4f, r5: vec4f, r6: vec4f, r7: vec4f }

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
    lefts[team][row / 8u][row % 8u][d ^ (row % 8u)] = qkv[base + place(s0 + row) + c + d];
  }
}

// The same of 32 queries to the right, or of their outputs' gradients.
fn stage_right(team: u32, gradients: bool, base: u32, t0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  if (gradients) {
    for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
      rights[team][row / 8u][row % 8u][d ^ (row % 8u)] = dout[base + place_out(t0 + row) + c + d];
    }
  } else {
    for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
      rights[team][row / 8u][row % 8u][d ^ (row % 8u)] = qkv[base + place(t0 + row) + c + d];
    }
  }
}

// 16 vectors of the same; what lies past the head's channels is never stored.
fn stage_block(team: u32, gradients: bool, base: u32, t0: u32, thread: u32) {
  let d = thread % 16u;
  if (gradients) {
    for (var row = thread / 16u; row < 32u; row += 4u) {
      rights[team][row / 8u + d / 8u * 4u][row % 8u][d % 8u] = dout[base + place_out(t0 + row) + d];
    }
  } else {
    for (var row = thread / 16u; row < 32u; row += 4u) {
      rights[team][row / 8u + d / 8u * 4u][row % 8u][d % 8u] = qkv[base + place(t0 + row) + d];
    }
  }
}

// sum + m * x
fn add(sum: vec4f, x: vec4f, m: mat4x4f) -> vec4f {
  let half = fma(vec4f(x.y), m[1], fma(vec4f(x.x), m[0], sum));
  return fma(vec4f(x.w), m[3], fma(vec4f(x.z), m[2], half));
}

// Adds m * vector d of each row on the left.
fn add_rows(team: u32, sums: ptr<function, Rows>, y: u32, d: u32, m: mat4x4f) {
  let at = d ^ y;
  (*sums).r0 = add((*sums).r0, lefts[team][0][y][at], m);
  (*sums).r1 = add((*sums).r1, lefts[team][1][y][at], m);
  (*sums).r2 = add((*sums).r2, lefts[team][2][y][at], m);
  (*sums).r3 = add((*sums).r3, lefts[team][3][y][at], m);
  (*sums).r4 = add((*sums).r4, lefts[team][4][y][at], m);
  (*sums).r5 = add((*sums).r5, lefts[team][5][y][at], m);
  (*sums).r6 = add((*sums).r6, lefts[team][6][y][at], m);
  (*sums).r7 = add((*sums).r7, lefts[team][7][y][at], m);
}

// Vector d of the rows x + 8j on the right, each a row of the matrix.
fn right_rows(team: u32, x: u32, d: u32) -> mat4x4f {
  let at = d ^ x;
  return transpose(mat4x4f(rights[team][0][x][at], rights[team][1][x][at], rights[team][2][x][at], rights[team][3][x][at]));
}

// Adds the rows s + 8j on the right, each times the left's number for it: their vectors x and x + 8.
fn add_values(team: u32, sums0: ptr<function, Rows>, sums1: ptr<function, Rows>, y: u32, s: u32, x: u32) {
  let m = mat4x4f(rights[team][0][s][x], rights[team][1][s][x], rights[team][2][s][x], rights[team][3][s][x]);
  if (!WIDE) {
    add_rows(team, sums0, y, s, m);
    return;
  }
  let n = mat4x4f(rights[team][4][s][x], rights[team][5][s][x], rights[team][6][s][x], rights[team][7][s][x]);
  let p0 = lefts[team][0][y][s ^ y];
  (*sums0).r0 = add((*sums0).r0, p0, m);
  (*sums1).r0 = add((*sums1).r0, p0, n);
  let p1 = lefts[team][1][y][s ^ y];
  (*sums0).r1 = add((*sums0).r1, p1, m);
  (*sums1).r1 = add((*sums1).r1, p1, n);
  let p2 = lefts[team][2][y][s ^ y];
  (*sums0).r2 = add((*sums0).r2, p2, m);
  (*sums1).r2 = add((*sums1).r2, p2, n);
  let p3 = lefts[team][3][y][s ^ y];
  (*sums0).r3 = add((*sums0).r3, p3, m);
  (*sums1).r3 = add((*sums1).r3, p3, n);
  let p4 = lefts[team][4][y][s ^ y];
  (*sums0).r4 = add((*sums0).r4, p4, m);
  (*sums1).r4 = add((*sums1).r4, p4, n);
  let p5 = lefts[team][5][y][s ^ y];
  (*sums0).r5 = add((*sums0).r5, p5, m);
  (*sums1).r5 = add((*sums1).r5, p5, n);
  let p6 = lefts[team][6][y][s ^ y];
  (*sums0).r6 = add((*sums0).r6, p6, m);
  (*sums1).r6 = add((*sums1).r6, p6, n);
  let p7 = lefts[team][7][y][s ^ y];
  (*sums0).r7 = add((*sums0).r7, p7, m);
  (*sums1).r7 = add((*sums1).r7, p7, n);
}

// A key's weights, 0 for the queries before it and those past the end.
fn softmax(score: vec4f, largest: vec4f, inverse: vec4f, queries: vec4u, s: u32) -> vec4f {
  let counts = (queries >= vec4u(s)) & (queries < vec4u(sizes.T));
  return select(vec4f(), exp(min(score - largest, vec4f())) * inverse, counts);
}

fn store(base: u32, s: u32, c: u32, value: vec4f) {
  if (s < sizes.T && c * 4u < sizes.HS) { dqkv[base + s * (sizes.C / 4u * 3u) + c] = value; }
}

fn store_rows(base: u32, s: u32, c: u32, rows: Rows) {
  store(base, s, c, rows.r0);
  store(base, s + 8u, c, rows.r1);
  store(base, s + 16u, c, rows.r2);
  store(base, s + 24u, c, rows.r3);
  store(base, s + 32u, c, rows.r4);
  store(base, s + 40u, c, rows.r5);
  store(base, s + 48u, c, rows.r6);
  store(base, s + 56u, c, rows.r7);
}

@compute @workgroup_size(128)
fn attention_backward_kv_tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let team = i / 64u;
  let thread = i % 64u;
  let scores = team == 0u;   // whether the thread makes the scores, or the gradients
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

  var sums0 = Rows();   // of dv in team 0, of dk in team 1
  var sums1 = Rows();
  for (var t0 = s0; t0 < sizes.T; t0 += 32u) {
    var p = Rows();
    for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
      workgroupBarrier();   // all tiles are read to the end
      stage_left(team, select(v, k, scores), s0, c, thread);
      stage_right(team, !scores, select(o, q, scores), t0, c, thread);
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) { add_rows(team, &p, y, d, right_rows(team, x, d)); }
    }
    let queries = vec4u(t0 + x) + vec4u(0u, 8u, 16u, 24u);
    let at = vec4u(line) + min(queries, vec4u(sizes.T - 1u));
    workgroupBarrier();
    stage_block(team, scores, select(q, o, scores) + block, t0, thread);
    if (scores) {
      let largest = vec4f(stats[at.x].x, stats[at.y].x, stats[at.z].x, stats[at.w].x);
      let inverse = vec4f(stats[at.x].y, stats[at.y].y, stats[at.z].y, stats[at.w].y);
      lefts[0][0][y][x ^ y] = softmax(p.r0 * scale, largest, inverse, queries, s);
      lefts[0][1][y][x ^ y] = softmax(p.r1 * scale, largest, inverse, queries, s + 8u);
      lefts[0][2][y][x ^ y] = softmax(p.r2 * scale, largest, inverse, queries, s + 16u);
      lefts[0][3][y][x ^ y] = softmax(p.r3 * scale, largest, inverse, queries, s + 24u);
      lefts[0][4][y][x ^ y] = softmax(p.r4 * scale, largest, inverse, queries, s + 32u);
      lefts[0][5][y][x ^ y] = softmax(p.r5 * scale, largest, inverse, queries, s + 40u);
      lefts[0][6][y][x ^ y] = softmax(p.r6 * scale, largest, inverse, queries, s + 48u);
      lefts[0][7][y][x ^ y] = softmax(p.r7 * scale, largest, inverse, queries, s + 56u);
    }
    workgroupBarrier();
    if (!scores) {
      let less = vec4f(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
      lefts[1][0][y][x ^ y] = lefts[0][0][y][x ^ y] * (p.r0 - less) * scale;
      lefts[1][1][y][x ^ y] = lefts[0][1][y][x ^ y] * (p.r1 - less) * scale;
      lefts[1][2][y][x ^ y] = lefts[0][2][y][x ^ y] * (p.r2 - less) * scale;
      lefts[1][3][y][x ^ y] = lefts[0][3][y][x ^ y] * (p.r3 - less) * scale;
      lefts[1][4][y][x ^ y] = lefts[0][4][y][x ^ y] * (p.r4 - less) * scale;
      lefts[1][5][y][x ^ y] = lefts[0][5][y][x ^ y] * (p.r5 - less) * scale;
      lefts[1][6][y][x ^ y] = lefts[0][6][y][x ^ y] * (p.r6 - less) * scale;
      lefts[1][7][y][x ^ y] = lefts[0][7][y][x ^ y] * (p.r7 - less) * scale;
    }
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) { add_values(team, &sums0, &sums1, y, n, x); }
  }
  let part = select(k, v, scores);
  store_rows(part, s, block + x, sums0);
  if (WIDE) { store_rows(part, s, block + x + 8u, sums1); }
}
