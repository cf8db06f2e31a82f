// Causal multi-head attention forward in tiles, with the softmax made in one pass over the keys.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// A workgroup of 8 x 8 threads (y, x) serves 64 queries of a head and 64 of their channels, the longest
// rows first, and walks over the keys 32 at a time. Both products are made of two tiles in workgroup
// memory: q (in chunks of DEPTH vectors of channels) and k give the scores, their exponentials p and v
// the outputs. A thread has 8 rows, y + 8i, and of each the scores of keys x + 8j, or the channel
// vectors x and x + 8. stats keeps each row's largest score and 1 / sum of exponentials.
// reference: attentionForward()

override DEPTH: u32 = 8u;     // vectors in a chunk, 1, 4 or 8: a divisor of HS / 4
override WIDE: bool = true;   // whether a head has more than 32 channels

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;     // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>;           // (B, T, 3C)
@group(0) @binding(3) var<uniform> sizes: Sizes;

const LOWEST = -3.4e38;

// A vector of each of a thread's 8 rows.
struct Rows { r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f, r4: vec4f, r5: vec4f, r6: vec4f, r7: vec4f }

// Row y + 8i at [i][y]. Vector d of row y lies at d ^ y where threads read down a column: in a bank of its own.
var<workgroup> left: array<array<array<vec4f, 8>, 8>, 8>;    // q; then p
var<workgroup> right: array<array<array<vec4f, 8>, 8>, 8>;   // k; then v, with the vectors from 8 on at [4 + i]

// Vector c of a position, or of the last one, where position 0 begins at `base`.
fn load(base: u32, position: u32, c: u32) -> vec4f {
  return qkv[base + min(position, sizes.T - 1u) * (sizes.C / 4u * 3u) + c];
}

// Vectors c .. c + DEPTH - 1 of 64 queries to the left and of 32 keys to the right.
fn stage_scores(q: u32, t0: u32, k: u32, s0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
    left[row / 8u][row % 8u][d ^ (row % 8u)] = load(q, t0 + row, c + d);
  }
  for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
    right[row / 8u][row % 8u][d ^ (row % 8u)] = load(k, s0 + row, c + d);
  }
}

// 16 vectors of 32 values to the right; what lies past the head's channels is never stored.
fn stage_values(v: u32, s0: u32, thread: u32) {
  let d = thread % 16u;
  for (var row = thread / 16u; row < 32u; row += 4u) {
    right[row / 8u + d / 8u * 4u][row % 8u][d % 8u] = load(v, s0 + row, d);
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

fn put_rows(y: u32, d: u32, rows: Rows) {
  left[0][y][d ^ y] = rows.r0;
  left[1][y][d ^ y] = rows.r1;
  left[2][y][d ^ y] = rows.r2;
  left[3][y][d ^ y] = rows.r3;
  left[4][y][d ^ y] = rows.r4;
  left[5][y][d ^ y] = rows.r5;
  left[6][y][d ^ y] = rows.r6;
  left[7][y][d ^ y] = rows.r7;
}

// Hides the keys beyond each row's query.
fn visible(p: Rows, keys: vec4u, t: u32) -> Rows {
  let none = vec4f(LOWEST);
  return Rows(
    select(none, p.r0, keys <= vec4u(t)), select(none, p.r1, keys <= vec4u(t + 8u)),
    select(none, p.r2, keys <= vec4u(t + 16u)), select(none, p.r3, keys <= vec4u(t + 24u)),
    select(none, p.r4, keys <= vec4u(t + 32u)), select(none, p.r5, keys <= vec4u(t + 40u)),
    select(none, p.r6, keys <= vec4u(t + 48u)), select(none, p.r7, keys <= vec4u(t + 56u)),
  );
}

fn scaled(p: Rows, a: vec4f, b: vec4f) -> Rows {
  return Rows(
    p.r0 * a.x, p.r1 * a.y, p.r2 * a.z, p.r3 * a.w, p.r4 * b.x, p.r5 * b.y, p.r6 * b.z, p.r7 * b.w,
  );
}

fn largest_of(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

fn sum_of(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }

fn store(base: u32, t: u32, c: u32, value: vec4f) {
  if (t < sizes.T && c * 4u < sizes.HS) { out[base + t * (sizes.C / 4u) + c] = value; }
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

// Component n of the eight.
fn pick(a: vec4f, b: vec4f, n: u32) -> f32 { return select(b, a, n < 4u)[n % 4u]; }

@compute @workgroup_size(64)
fn attention_forward_tiles(
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
  let q = row * (sizes.C / 4u * 3u) + head * (sizes.HS / 4u);
  let k = q + sizes.C / 4u;
  let v = k + sizes.C / 4u + block;
  let scale = vec4f(1.0 / sqrt(f32(sizes.HS)));

  var largest_a = vec4f(LOWEST);   // of rows 0 .. 3
  var largest_b = vec4f(LOWEST);   // of rows 4 .. 7
  var sum_a = vec4f();             // over the thread's own keys
  var sum_b = vec4f();
  var out0 = Rows();
  var out1 = Rows();
  for (var s0 = 0u; s0 < min(t0 + 64u, sizes.T); s0 += 32u) {
    var p = Rows();
    for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
      workgroupBarrier();   // both tiles are read to the end
      stage_scores(q, t0, k, s0, c, thread);
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) { add_rows(&p, y, d, right_rows(x, d)); }
    }
    p = scaled(p, scale, scale);
    if (s0 + 31u > t0) { p = visible(p, vec4u(s0 + x) + vec4u(0u, 8u, 16u, 24u), t); }
    workgroupBarrier();   // q and k are read to the end
    left[x][y][0] = vec4f(largest_of(p.r0), largest_of(p.r1), largest_of(p.r2), largest_of(p.r3));
    left[x][y][1] = vec4f(largest_of(p.r4), largest_of(p.r5), largest_of(p.r6), largest_of(p.r7));
    stage_values(v, s0, thread);
    workgroupBarrier();
    var a = largest_a;
    var b = largest_b;
    for (var n = 0u; n < 8u; n++) {
      a = max(a, left[n][y][0]);
      b = max(b, left[n][y][1]);
    }
    let rescale_a = exp(largest_a - a);
    let rescale_b = exp(largest_b - b);
    largest_a = a;
    largest_b = b;
    p = Rows(
      exp(p.r0 - a.x), exp(p.r1 - a.y), exp(p.r2 - a.z), exp(p.r3 - a.w),
      exp(p.r4 - b.x), exp(p.r5 - b.y), exp(p.r6 - b.z), exp(p.r7 - b.w),
    );
    sum_a = sum_a * rescale_a + vec4f(sum_of(p.r0), sum_of(p.r1), sum_of(p.r2), sum_of(p.r3));
    sum_b = sum_b * rescale_b + vec4f(sum_of(p.r4), sum_of(p.r5), sum_of(p.r6), sum_of(p.r7));
    out0 = scaled(out0, rescale_a, rescale_b);
    if (WIDE) { out1 = scaled(out1, rescale_a, rescale_b); }
    workgroupBarrier();   // the largest scores are read to the end
    put_rows(y, x, p);
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) { add_values(&out0, &out1, y, n, x); }
  }

  workgroupBarrier();   // p is read to the end
  left[x][y][0] = sum_a;
  left[x][y][1] = sum_b;
  workgroupBarrier();
  var a = vec4f();
  var b = vec4f();
  for (var n = 0u; n < 8u; n++) {
    a += left[n][y][0];
    b += left[n][y][1];
  }
  a = 1.0 / a;
  b = 1.0 / b;
  let base = row * (sizes.C / 4u) + head * (sizes.HS / 4u);
  store_rows(base, t, block + x, scaled(out0, a, b));
  if (WIDE) { store_rows(base, t, block + x + 8u, scaled(out1, a, b)); }
  let row_t = t + 8u * x;
  if (block == 0u && row_t < sizes.T) {
    let line = (group.y * sizes.NH + head) * sizes.T;
    stats[line + row_t] = vec2f(pick(largest_a, largest_b, x), pick(a, b, x));
  }
}
