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

// What out and qkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH, a multiple of 4
}

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (B, T, 3C)
@group(0) @binding(3) var<uniform> sizes: Sizes;

const LOWEST = -3.4e38;

// Row y + 8i at [i][y]. Vector d of row y lies at d ^ y where threads read down a column: in a bank of its own.
var<workgroup> left: array<array<array<vec4f, 8>, 8>, 8>;    // q; the threads' largest scores; p; their sums
var<workgroup> right: array<array<array<vec4f, 8>, 8>, 8>;   // k; v, with the vectors from 8 on at [4 + i]

// Vector c of a position, or of the last one, where position 0 begins at `base`.
fn load(base: u32, position: u32, c: u32) -> vec4f {
  return vec4f(qkv[base + min(position, sizes.T - 1u) * (sizes.C / 4u * 3u) + c]);
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

// The 16 vectors from `block` on of 32 values to the right; past the head's last it comes again.
fn stage_values(v: u32, s0: u32, block: u32, thread: u32) {
  let d = thread % 16u;
  let c = min(block + d, sizes.HS / 4u - 1u);
  for (var row = thread / 16u; row < 32u; row += 4u) {
    right[row / 8u + d / 8u * 4u][row % 8u][d % 8u] = load(v, s0 + row, c);
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

// Four rows' scores, those of keys beyond the row's query hidden.
fn visible(p: mat4x4f, keys: vec4u, t: u32) -> mat4x4f {
  let none = vec4f(LOWEST);
  return mat4x4f(
    select(none, p[0], keys <= vec4u(t)), select(none, p[1], keys <= vec4u(t + 8u)),
    select(none, p[2], keys <= vec4u(t + 16u)), select(none, p[3], keys <= vec4u(t + 24u)),
  );
}

// Of four rows: each times a number, its exponentials, its largest number, its sum.
fn scaled(p: mat4x4f, by: vec4f) -> mat4x4f {
  return mat4x4f(p[0] * by.x, p[1] * by.y, p[2] * by.z, p[3] * by.w);
}

fn exponentials(p: mat4x4f, largest: vec4f) -> mat4x4f {
  return mat4x4f(
    exp(p[0] - largest.x), exp(p[1] - largest.y), exp(p[2] - largest.z), exp(p[3] - largest.w),
  );
}

fn largest_of(p: mat4x4f) -> vec4f {
  let columns = transpose(p);
  return max(max(columns[0], columns[1]), max(columns[2], columns[3]));
}

fn sum_of(p: mat4x4f) -> vec4f {
  let columns = transpose(p);
  return (columns[0] + columns[1]) + (columns[2] + columns[3]);
}

fn store(base: u32, t: u32, c: u32, value: vec4f) {
  if (t < sizes.T && c * 4u < sizes.HS) { out[base + t * (sizes.C / 4u) + c] = Element(value); }
}

fn store_rows(base: u32, t: u32, c: u32, rows: mat4x4f) {
  store(base, t, c, rows[0]);
  store(base, t + 8u, c, rows[1]);
  store(base, t + 16u, c, rows[2]);
  store(base, t + 24u, c, rows[3]);
}

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
  let v = k + sizes.C / 4u;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  var largest0 = vec4f(LOWEST);   // of the thread's rows 0 .. 3
  var largest1 = vec4f(LOWEST);   // of rows 4 .. 7
  var sum0 = vec4f();             // over the thread's own keys
  var sum1 = vec4f();
  var out0 = mat4x4f();           // rows 0 .. 3, vector x
  var out1 = mat4x4f();
  var far0 = mat4x4f();           // rows 0 .. 3, vector x + 8
  var far1 = mat4x4f();
  for (var s0 = 0u; s0 < min(t0 + 64u, sizes.T); s0 += 32u) {
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
      workgroupBarrier();   // both tiles are read to the end
      stage_scores(q, t0, k, s0, c, thread);
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let keys = right_rows(x, d);
        p0 = add_product(p0, keys, left_rows(0u, y, d));
        p1 = add_product(p1, keys, left_rows(4u, y, d));
      }
    }
    p0 = p0 * scale;
    p1 = p1 * scale;
    if (s0 + 31u > t0) {
      let keys = vec4u(s0 + x) + vec4u(0u, 8u, 16u, 24u);
      p0 = visible(p0, keys, t);
      p1 = visible(p1, keys, t + 32u);
    }
    workgroupBarrier();   // q and k are read to the end
    left[x][y][0] = largest_of(p0);
    left[x][y][1] = largest_of(p1);
    stage_values(v, s0, block, thread);
    workgroupBarrier();
    var highest0 = largest0;
    var highest1 = largest1;
    for (var n = 0u; n < 8u; n++) {
      highest0 = max(highest0, left[n][y][0]);
      highest1 = max(highest1, left[n][y][1]);
    }
    let rescale0 = exp(largest0 - highest0);
    let rescale1 = exp(largest1 - highest1);
    largest0 = highest0;
    largest1 = highest1;
    p0 = exponentials(p0, largest0);
    p1 = exponentials(p1, largest1);
    sum0 = sum0 * rescale0 + sum_of(p0);
    sum1 = sum1 * rescale1 + sum_of(p1);
    out0 = scaled(out0, rescale0);
    out1 = scaled(out1, rescale1);
    far0 = scaled(far0, rescale0);
    far1 = scaled(far1, rescale1);
    workgroupBarrier();   // the largest scores are read to the end
    store_left(0u, y, x, p0);
    store_left(4u, y, x, p1);
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) {
      let near = right_values(0u, n, x);
      let far = right_values(4u, n, x);
      p0 = left_rows(0u, y, n);
      out0 = add_product(out0, near, p0);
      if (WIDE) { far0 = add_product(far0, far, p0); }
      p1 = left_rows(4u, y, n);
      out1 = add_product(out1, near, p1);
      if (WIDE) { far1 = add_product(far1, far, p1); }
    }
  }

  workgroupBarrier();   // p is read to the end
  left[x][y][0] = sum0;
  left[x][y][1] = sum1;
  workgroupBarrier();
  sum0 = vec4f();
  sum1 = vec4f();
  for (var n = 0u; n < 8u; n++) {
    sum0 += left[n][y][0];
    sum1 += left[n][y][1];
  }
  let base = row * (sizes.C / 4u) + head * (sizes.HS / 4u);
  store_rows(base, t, block + x, scaled(out0, 1.0 / sum0));
  store_rows(base, t + 32u, block + x, scaled(out1, 1.0 / sum1));
  if (WIDE) {
    store_rows(base, t, block + x + 8u, scaled(far0, 1.0 / sum0));
    store_rows(base, t + 32u, block + x + 8u, scaled(far1, 1.0 / sum1));
  }
  let own = t + 8u * x;   // the row whose stats the thread stores
  if (block == 0u && own < sizes.T) {
    let largest = select(largest1, largest0, x < 4u)[x % 4u];
    let sum = select(sum1, sum0, x < 4u)[x % 4u];
    stats[(group.y * sizes.NH + head) * sizes.T + own] = vec2f(largest, 1.0 / sum);
  }
}
