// Causal multi-head attention backward in tiles, the queries' half.
//
//   delta[t]    = dout[t] . out[t]
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dq[t]       = sum over s <= t of dscore[t,s] * k[s]
//
// Writes the q part of dqkv, and delta for attention_backward_kv_tiles. Its work is spread as in
// attention_forward_tiles: 64 queries and 64 of their channels a workgroup, the keys 32 at a time. Three
// products pass through the two tiles: q and k give the scores, dout and v the gradients of p, then
// dscore and k the sums.
// reference: attentionBackwardQ()

override DEPTH: u32 = 8u;     // vectors in a chunk, 1, 4 or 8: a divisor of HS / 4
override WIDE: bool = true;   // whether a head has more than 32 channels

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<vec4f>;   // (B, T, 3C)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;    // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<vec4f>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<vec4f>;          // (B, T, 3C)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;        // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

// A vector of each of a thread's 8 rows.
struct Rows { r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f, r4: vec4f, r5: vec4f, r6: vec4f, r7: vec4f }

// Row y + 8i at [i][y]. Vector d of row y lies at d ^ y where threads read down a column: in a bank of its own.
var<workgroup> left: array<array<array<vec4f, 8>, 8>, 8>;    // q; dout; dscore
var<workgroup> right: array<array<array<vec4f, 8>, 8>, 8>;   // k; v; k, with the vectors from 8 on at [4 + i]
var<workgroup> kept: array<array<vec4f, 64>, 8>;             // p, by row and thread
var<workgroup> facts: array<array<vec4f, 8>, 8>;             // of each row: largest, 1 / sum, delta

// Where a position begins, or the last one: in q, k and v, and in out and dout.
fn place(position: u32) -> u32 { return min(position, sizes.T - 1u) * (sizes.C / 4u * 3u); }
fn place_out(position: u32) -> u32 { return min(position, sizes.T - 1u) * (sizes.C / 4u); }

// Vectors c .. c + DEPTH - 1 of 64 queries to the left, or of their outputs' gradients.
fn stage_left(gradients: bool, base: u32, t0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  if (gradients) {
    for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
      left[row / 8u][row % 8u][d ^ (row % 8u)] = dout[base + place_out(t0 + row) + c + d];
    }
  } else {
    for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
      left[row / 8u][row % 8u][d ^ (row % 8u)] = qkv[base + place(t0 + row) + c + d];
    }
  }
}

// The same of 32 keys or values to the right.
fn stage_right(base: u32, s0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
    right[row / 8u][row % 8u][d ^ (row % 8u)] = qkv[base + place(s0 + row) + c + d];
  }
}

// 16 vectors of 32 keys to the right; what lies past the head's channels is never stored.
fn stage_block(base: u32, s0: u32, thread: u32) {
  let d = thread % 16u;
  for (var row = thread / 16u; row < 32u; row += 4u) {
    right[row / 8u + d / 8u * 4u][row % 8u][d % 8u] = qkv[base + place(s0 + row) + d];
  }
}

// sum + m * x
fn add(sum: vec4f, x: vec4f, m: mat4x4f) -> vec4f {
  let half = fma(vec4f(x.y), m[1], fma(vec4f(x.x), m[0], sum));
  return fma(vec4f(x.w), m[3], fma(vec4f(x.z), m[2], half));
}

// Adds m * vector d of each row on the left.
fn add_rows(sums: ptr<function, Rows>, y: u32, d: u32, m: mat4x4f) {
  let at = d ^ y;
  (*sums).r0 = add((*sums).r0, left[0][y][at], m);
  (*sums).r1 = add((*sums).r1, left[1][y][at], m);
  (*sums).r2 = add((*sums).r2, left[2][y][at], m);
  (*sums).r3 = add((*sums).r3, left[3][y][at], m);
  (*sums).r4 = add((*sums).r4, left[4][y][at], m);
  (*sums).r5 = add((*sums).r5, left[5][y][at], m);
  (*sums).r6 = add((*sums).r6, left[6][y][at], m);
  (*sums).r7 = add((*sums).r7, left[7][y][at], m);
}

// Vector d of the rows x + 8j on the right, each a row of the matrix.
fn right_rows(x: u32, d: u32) -> mat4x4f {
  let at = d ^ x;
  return transpose(mat4x4f(right[0][x][at], right[1][x][at], right[2][x][at], right[3][x][at]));
}

// Adds the rows s + 8j on the right, each times the left's number for it: their vectors x and x + 8.
fn add_values(sums0: ptr<function, Rows>, sums1: ptr<function, Rows>, y: u32, s: u32, x: u32) {
  let m = mat4x4f(right[0][s][x], right[1][s][x], right[2][s][x], right[3][s][x]);
  if (!WIDE) {
    add_rows(sums0, y, s, m);
    return;
  }
  let n = mat4x4f(right[4][s][x], right[5][s][x], right[6][s][x], right[7][s][x]);
  let p0 = left[0][y][s ^ y];
  (*sums0).r0 = add((*sums0).r0, p0, m);
  (*sums1).r0 = add((*sums1).r0, p0, n);
  let p1 = left[1][y][s ^ y];
  (*sums0).r1 = add((*sums0).r1, p1, m);
  (*sums1).r1 = add((*sums1).r1, p1, n);
  let p2 = left[2][y][s ^ y];
  (*sums0).r2 = add((*sums0).r2, p2, m);
  (*sums1).r2 = add((*sums1).r2, p2, n);
  let p3 = left[3][y][s ^ y];
  (*sums0).r3 = add((*sums0).r3, p3, m);
  (*sums1).r3 = add((*sums1).r3, p3, n);
  let p4 = left[4][y][s ^ y];
  (*sums0).r4 = add((*sums0).r4, p4, m);
  (*sums1).r4 = add((*sums1).r4, p4, n);
  let p5 = left[5][y][s ^ y];
  (*sums0).r5 = add((*sums0).r5, p5, m);
  (*sums1).r5 = add((*sums1).r5, p5, n);
  let p6 = left[6][y][s ^ y];
  (*sums0).r6 = add((*sums0).r6, p6, m);
  (*sums1).r6 = add((*sums1).r6, p6, n);
  let p7 = left[7][y][s ^ y];
  (*sums0).r7 = add((*sums0).r7, p7, m);
  (*sums1).r7 = add((*sums1).r7, p7, n);
}

// A row's weights, 0 for the keys beyond its query.
fn weights(score: vec4f, row: vec4f, keys: vec4u, t: u32) -> vec4f {
  return select(vec4f(), exp(min(score - row.x, vec4f())) * row.y, keys <= vec4u(t));
}

// The thread's share of dout . out, every eighth vector.
fn part_of_delta(base: u32, x: u32) -> f32 {
  var sum = 0.0;
  for (var c = x; c < sizes.HS / 4u; c += 8u) { sum += dot(dout[base + c], out[base + c]); }
  return sum;
}

fn store(base: u32, t: u32, c: u32, value: vec4f) {
  if (t < sizes.T && c * 4u < sizes.HS) { dqkv[base + t * (sizes.C / 4u * 3u) + c] = value; }
}

fn store_rows(base: u32, t: u32, c: u32, rows: Rows) {
  store(base, t, c, rows.r0);
  store(base, t + 8u, c, rows.r1);
  store(base, t + 16u, c, rows.r2);
  store(base, t + 24u, c, rows.r3);
  store(base, t + 32u, c, rows.r4);
  store(base, t + 40u, c, rows.r5);
  store(base, t + 48u, c, rows.r6);
  store(base, t + 56u, c, rows.r7);
}

@compute @workgroup_size(64)
fn attention_backward_q_tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  // Neighbouring threads share a row or a column, so that a subgroup reads few vectors at a time.
  let x = (thread >> 1u) & 7u;
  let y = (thread & 1u) | ((thread >> 3u) & 6u);
  let blocks = (sizes.HS + 63u) / 64u;
  let head = group.x / blocks;
  let block = group.x % blocks * 16u;   // the first of the workgroup's channel vectors
  let t0 = (groups.z - 1u - group.z) * 64u;
  let t = t0 + y;
  let row = group.y * sizes.T;
  let o = row * (sizes.C / 4u) + head * (sizes.HS / 4u);
  let q = row * (sizes.C / 4u * 3u) + head * (sizes.HS / 4u);
  let k = q + sizes.C / 4u;
  let v = k + sizes.C / 4u;
  let line = (group.y * sizes.NH + head) * sizes.T;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  for (var n = 0u; n < 8u; n++) {
    left[x][y][n / 4u][n % 4u] = part_of_delta(o + place_out(t + n * 8u), x);
  }
  workgroupBarrier();
  let i = thread / 8u;
  let own = t0 + thread;   // the query whose facts the thread collects, row thread % 8 + 8i
  var sum = 0.0;
  for (var n = 0u; n < 8u; n++) { sum += left[n][thread % 8u][i / 4u][i % 4u]; }
  facts[i][thread % 8u] = vec4f(stats[line + min(own, sizes.T - 1u)], sum, 0.0);
  if (block == 0u && own < sizes.T) { delta[line + own] = sum; }

  var dq0 = Rows();
  var dq1 = Rows();
  for (var s0 = 0u; s0 < min(t0 + 64u, sizes.T); s0 += 32u) {
    let keys = vec4u(s0 + x) + vec4u(0u, 8u, 16u, 24u);
    for (var product = 0u; product < 2u; product++) {
      let first = product == 0u;
      var p = Rows();   // the scores, then the gradients of p
      for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
        workgroupBarrier();   // both tiles are read to the end
        stage_left(!first, select(o, q, first), t0, c, thread);
        stage_right(select(v, k, first), s0, c, thread);
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) { add_rows(&p, y, d, right_rows(x, d)); }
      }
      if (first) {
        kept[0][thread] = weights(p.r0 * scale, facts[0][y], keys, t);
        kept[1][thread] = weights(p.r1 * scale, facts[1][y], keys, t + 8u);
        kept[2][thread] = weights(p.r2 * scale, facts[2][y], keys, t + 16u);
        kept[3][thread] = weights(p.r3 * scale, facts[3][y], keys, t + 24u);
        kept[4][thread] = weights(p.r4 * scale, facts[4][y], keys, t + 32u);
        kept[5][thread] = weights(p.r5 * scale, facts[5][y], keys, t + 40u);
        kept[6][thread] = weights(p.r6 * scale, facts[6][y], keys, t + 48u);
        kept[7][thread] = weights(p.r7 * scale, facts[7][y], keys, t + 56u);
      } else {
        workgroupBarrier();   // dout and v are read to the end
        left[0][y][x ^ y] = kept[0][thread] * (p.r0 - facts[0][y].z) * scale;
        left[1][y][x ^ y] = kept[1][thread] * (p.r1 - facts[1][y].z) * scale;
        left[2][y][x ^ y] = kept[2][thread] * (p.r2 - facts[2][y].z) * scale;
        left[3][y][x ^ y] = kept[3][thread] * (p.r3 - facts[3][y].z) * scale;
        left[4][y][x ^ y] = kept[4][thread] * (p.r4 - facts[4][y].z) * scale;
        left[5][y][x ^ y] = kept[5][thread] * (p.r5 - facts[5][y].z) * scale;
        left[6][y][x ^ y] = kept[6][thread] * (p.r6 - facts[6][y].z) * scale;
        left[7][y][x ^ y] = kept[7][thread] * (p.r7 - facts[7][y].z) * scale;
      }
    }
    stage_block(k + block, s0, thread);
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) { add_values(&dq0, &dq1, y, n, x); }
  }
  store_rows(q, t, block + x, dq0);
  if (WIDE) { store_rows(q, t, block + x + 8u, dq1); }
}
