// Attention's tiles in workgroup memory. A team of 8 x 8 threads (y, x) makes products of two: 64 rows to the left, of
// which a thread has y + 8i, and 32 to the right, of which it has x + 8j, or their channel vectors x and x + 8.
// The kernel declares TEAMS, each with two tiles of its own, and qkv, an array of vectors.
// with: heads

override DEPTH: u32 = 8u;     // vectors in a chunk, 1, 4 or 8: a divisor of HS / 4
override WIDE: bool = true;   // whether a head has more than 32 channels

// Row y + 8i at [i][y], a team's from i = 8 * team on. Vector d of row y lies at d ^ y where threads read down a column: in
// a bank of its own. On the right a block's vectors from 8 on are at [4 + i].
var<workgroup> left: array<array<array<vec4f, 8>, 8>, 8u * TEAMS>;
var<workgroup> right: array<array<array<vec4f, 8>, 8>, 8u * TEAMS>;

// What a thread works at. Neighbours share a row or a column, so that a subgroup reads few vectors at a time.
struct Share {
  x: u32,
  y: u32,
  head: u32,    // of the workgroup
  block: u32,   // the first of its channel vectors
}

fn share_of(thread: u32, group: u32) -> Share {
  let blocks = (sizes.HS + 63u) / 64u;
  let y = (thread & 1u) | ((thread >> 3u) & 6u);
  return Share((thread >> 1u) & 7u, y, group / blocks, group % blocks * 16u);
}

// Vectors from the first position to one, or to the last: of qkv, and of out and dout.
fn line(position: u32) -> u32 { return min(position, sizes.T - 1u) * (qkv_line() / 4u); }
fn out_line_at(position: u32) -> u32 { return min(position, sizes.T - 1u) * (out_line() / 4u); }

// Of qkv, vectors c .. c + DEPTH - 1 of 64 positions to the left,
fn stage_left(i: u32, base: u32, first: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
    left[i + row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(qkv[base + line(first + row) + c + d]);
  }
}

// of 32 positions to the right,
fn stage_right(i: u32, base: u32, first: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
    right[i + row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(qkv[base + line(first + row) + c + d]);
  }
}

// and the 16 vectors from `block` on; past the head's last it comes again.
fn stage_block(i: u32, base: u32, first: u32, block: u32, thread: u32) {
  let d = thread % 16u;
  let c = min(block + d, sizes.HS / 4u - 1u);
  for (var row = thread / 16u; row < 32u; row += 4u) {
    right[i + row / 8u + d / 8u * 4u][row % 8u][d % 8u] = vec4f(qkv[base + line(first + row) + c]);
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
fn right_rows(j: u32, x: u32, d: u32) -> mat4x4f {
  return transpose(mat4x4f(right[j][x][d ^ x], right[j + 1u][x][d ^ x], right[j + 2u][x][d ^ x], right[j + 3u][x][d ^ x]));
}

// Of a block on the right, of the rows n + 8j: vector x, and with j from 4 on vector x + 8.
fn right_values(j: u32, n: u32, x: u32) -> mat4x4f {
  return mat4x4f(right[j][n][x], right[j + 1u][n][x], right[j + 2u][n][x], right[j + 3u][n][x]);
}

// Adds the product of a chunk on the left and one on the right, from i on: rows 0 .. 3 to p0, rows 4 .. 7 to p1.
fn add_chunk(p0: ptr<function, mat4x4f>, p1: ptr<function, mat4x4f>, i: u32, x: u32, y: u32) {
  for (var d = 0u; d < DEPTH; d++) {
    let columns = right_rows(i, x, d);
    *p0 = add_product(*p0, columns, left_rows(i, y, d));
    *p1 = add_product(*p1, columns, left_rows(i + 4u, y, d));
  }
}

// What a thread makes of 64 rows: of y + 8i vectors x (near) and x + 8 (far), a column each.
struct Rows {
  near0: mat4x4f,   // rows 0 .. 3
  near1: mat4x4f,   // rows 4 .. 7
  far0: mat4x4f,
  far1: mat4x4f,
}

// Adds the product of the left, from i on, and of a block on the right, from i on.
fn add_block(rows: ptr<function, Rows>, i: u32, x: u32, y: u32) {
  for (var n = 0u; n < 8u; n++) {
    let near = right_values(i, n, x);
    let far = right_values(i + 4u, n, x);
    let left0 = left_rows(i, y, n);
    (*rows).near0 = add_product((*rows).near0, near, left0);
    if (WIDE) { (*rows).far0 = add_product((*rows).far0, far, left0); }
    let left1 = left_rows(i + 4u, y, n);
    (*rows).near1 = add_product((*rows).near1, near, left1);
    if (WIDE) { (*rows).far1 = add_product((*rows).far1, far, left1); }
  }
}

// Stores four rows' vectors c by the kernel's store(base, position, c, vector): of positions t, t + 8, ...
fn store_four(base: u32, t: u32, c: u32, rows: mat4x4f) {
  store(base, t, c, rows[0]);
  store(base, t + 8u, c, rows[1]);
  store(base, t + 16u, c, rows[2]);
  store(base, t + 24u, c, rows[3]);
}

fn store_rows(base: u32, t: u32, c: u32, rows: Rows) {
  store_four(base, t, c, rows.near0);
  store_four(base, t + 32u, c, rows.near1);
  if (WIDE) {
    store_four(base, t, c + 8u, rows.far0);
    store_four(base, t + 32u, c + 8u, rows.far1);
  }
}
