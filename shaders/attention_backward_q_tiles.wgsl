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

// Row y + 8i at [i][y]. Vector d of row y lies at d ^ y where threads read down a column: in a bank of its own.
var<workgroup> left: array<array<array<vec4f, 8>, 8>, 8>;    // q; dout; dscore
var<workgroup> right: array<array<array<vec4f, 8>, 8>, 8>;   // k; v; k, with the vectors from 8 on at [4 + i]
var<workgroup> kept: array<array<vec4f, 64>, 8>;             // p, by row and thread
var<workgroup> row_stats: array<vec4f, 64>;                  // largest, 1 / sum, delta, 0: whole, by one thread

// Where a position begins, or the last one: in q, k and v, and in out and dout.
fn place(position: u32) -> u32 { return min(position, sizes.T - 1u) * (sizes.C / 4u * 3u); }
fn place_out(position: u32) -> u32 { return min(position, sizes.T - 1u) * (sizes.C / 4u); }

// Vectors c .. c + DEPTH - 1 of 64 queries to the left, or of their outputs' gradients.
fn stage_left(gradients: bool, base: u32, t0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  if (gradients) {
    for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
      left[row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(dout[base + place_out(t0 + row) + c + d]);
    }
  } else {
    for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
      left[row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(qkv[base + place(t0 + row) + c + d]);
    }
  }
}

// The same of 32 keys or values to the right.
fn stage_right(base: u32, s0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
    right[row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(qkv[base + place(s0 + row) + c + d]);
  }
}

// The 16 vectors from `block` on of 32 keys to the right; past the head's last it comes again.
fn stage_block(base: u32, s0: u32, block: u32, thread: u32) {
  let d = thread % 16u;
  let c = min(block + d, sizes.HS / 4u - 1u);
  for (var row = thread / 16u; row < 32u; row += 4u) {
    right[row / 8u + d / 8u * 4u][row % 8u][d % 8u] = vec4f(qkv[base + place(s0 + row) + c]);
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
fn left_rows(i: u32, y: u32, d: u32) -> mat4x4f {
  return mat4x4f(left[i][y][d ^ y], left[i + 1u][y][d ^ y], left[i + 2u][y][d ^ y], left[i + 3u][y][d ^ y]);
}

fn store_left(i: u32, y: u32, d: u32, rows: mat4x4f) {
  left[i][y][d ^ y] = rows[0];
  left[i + 1u][y][d ^ y] = rows[1];
  left[i + 2u][y][d ^ y] = rows[2];
  left[i + 3u][y][d ^ y] = rows[3];
}

// Vector d of the rows x + 8j on the right, a number of each a column.
fn right_rows(x: u32, d: u32) -> mat4x4f {
  return transpose(mat4x4f(right[0][x][d ^ x], right[1][x][d ^ x], right[2][x][d ^ x], right[3][x][d ^ x]));
}

// Vector x (i = 0) or x + 8 (i = 4) of the rows n + 8j on the right.
fn right_values(i: u32, n: u32, x: u32) -> mat4x4f {
  return mat4x4f(right[i][n][x], right[i + 1u][n][x], right[i + 2u][n][x], right[i + 3u][n][x]);
}

// Of rows y + 8i, four of them: largest, 1 / sum and delta, a column each.
fn stats_of(y: u32) -> mat4x4f {
  return transpose(mat4x4f(row_stats[y], row_stats[y + 8u], row_stats[y + 16u], row_stats[y + 24u]));
}

// Four rows' weights, 0 for the keys beyond the row's query.
fn softmax(scores: mat4x4f, largest: vec4f, inverse: vec4f, keys: vec4u, t: u32) -> mat4x4f {
  let none = vec4f();
  return mat4x4f(
    select(none, exp(min(scores[0] - largest.x, none)) * inverse.x, keys <= vec4u(t)),
    select(none, exp(min(scores[1] - largest.y, none)) * inverse.y, keys <= vec4u(t + 8u)),
    select(none, exp(min(scores[2] - largest.z, none)) * inverse.z, keys <= vec4u(t + 16u)),
    select(none, exp(min(scores[3] - largest.w, none)) * inverse.w, keys <= vec4u(t + 24u)),
  );
}

// Of four rows from i on: p * (dp - less).
fn dscores(i: u32, dp: mat4x4f, less: vec4f, thread: u32) -> mat4x4f {
  return mat4x4f(
    kept[i][thread] * (dp[0] - less.x), kept[i + 1u][thread] * (dp[1] - less.y),
    kept[i + 2u][thread] * (dp[2] - less.z), kept[i + 3u][thread] * (dp[3] - less.w),
  );
}

fn keep(i: u32, p: mat4x4f, thread: u32) {
  kept[i][thread] = p[0];
  kept[i + 1u][thread] = p[1];
  kept[i + 2u][thread] = p[2];
  kept[i + 3u][thread] = p[3];
}

// A thread's share of dout . out, every eighth vector.
fn part_of_delta(base: u32, x: u32) -> f32 {
  var sum = 0.0;
  for (var c = x; c < sizes.HS / 4u; c += 8u) { sum += dot(vec4f(dout[base + c]), vec4f(out[base + c])); }
  return sum;
}

fn store(base: u32, t: u32, c: u32, value: vec4f) {
  if (t < sizes.T && c * 4u < sizes.HS) { dqkv[base + t * (sizes.C / 4u * 3u) + c] = Element(value); }
}

fn store_rows(base: u32, t: u32, c: u32, rows: mat4x4f) {
  store(base, t, c, rows[0]);
  store(base, t + 8u, c, rows[1]);
  store(base, t + 16u, c, rows[2]);
  store(base, t + 24u, c, rows[3]);
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
  let scale = 1.0 / sqrt(f32(sizes.HS));

  for (var i = 0u; i < 8u; i++) {
    left[x][y][i / 4u][i % 4u] = part_of_delta(o + place_out(t + 8u * i), x);
  }
  workgroupBarrier();
  let i = thread / 8u;
  var delta_own = 0.0;   // of row thread % 8 + 8i
  for (var n = 0u; n < 8u; n++) { delta_own += left[n][thread % 8u][i / 4u][i % 4u]; }
  let at = (group.y * sizes.NH + head) * sizes.T + min(t0 + thread, sizes.T - 1u);
  row_stats[thread] = vec4f(stats[at], delta_own, 0.0);
  if (block == 0u && t0 + thread < sizes.T) { delta[at] = delta_own; }

  var dq0 = mat4x4f();    // rows 0 .. 3, vector x
  var dq1 = mat4x4f();    // rows 4 .. 7
  var far0 = mat4x4f();   // rows 0 .. 3, vector x + 8
  var far1 = mat4x4f();
  for (var s0 = 0u; s0 < min(t0 + 64u, sizes.T); s0 += 32u) {
    for (var product = 0u; product < 2u; product++) {
      let scores = product == 0u;   // or else the gradients of p
      var p0 = mat4x4f();
      var p1 = mat4x4f();
      for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
        workgroupBarrier();   // both tiles are read to the end
        stage_left(!scores, select(o, q, scores), t0, c, thread);
        stage_right(select(v, k, scores), s0, c, thread);
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
          let keys = right_rows(x, d);
          p0 = add_product(p0, keys, left_rows(0u, y, d));
          p1 = add_product(p1, keys, left_rows(4u, y, d));
        }
      }
      if (scores) {
        let keys = vec4u(s0 + x) + vec4u(0u, 8u, 16u, 24u);
        let near = stats_of(y);
        let far = stats_of(y + 32u);
        keep(0u, softmax(p0 * scale, near[0], near[1], keys, t), thread);
        keep(4u, softmax(p1 * scale, far[0], far[1], keys, t + 32u), thread);
      } else {
        workgroupBarrier();   // dout and v are read to the end
        store_left(0u, y, x, dscores(0u, p0, stats_of(y)[2], thread) * scale);
        store_left(4u, y, x, dscores(4u, p1, stats_of(y + 32u)[2], thread) * scale);
      }
    }
    stage_block(k, s0, block, thread);
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) {
      let near = right_values(0u, n, x);
      let far = right_values(4u, n, x);
      let d0 = left_rows(0u, y, n);
      dq0 = add_product(dq0, near, d0);
      if (WIDE) { far0 = add_product(far0, far, d0); }
      let d1 = left_rows(4u, y, n);
      dq1 = add_product(dq1, near, d1);
      if (WIDE) { far1 = add_product(far1, far, d1); }
    }
  }
  store_rows(q, t, block + x, dq0);
  store_rows(q, t + 32u, block + x, dq1);
  if (WIDE) {
    store_rows(q, t, block + x + 8u, far0);
    store_rows(q, t + 32u, block + x + 8u, far1);
  }
}
