// Attention on the few lanes of a software GPU: vectors that go round by shuffles, and the rows that a subgroup makes.
// The kernel declares LANES, the subgroup's size, 4 or 8, and qkv, an array of vectors.
// with: heads

// Where channels c .. c+3 of a position lie in qkv, and in out and dout, past the end the last position's; `base` is the
// first vector of what is looked for.
fn place(base: u32, t: u32, c: u32) -> u32 {
  return base + min(t, sizes.T - 1u) * (qkv_line() / 4u) + c / 4u;
}

fn place_out(base: u32, t: u32, c: u32) -> u32 {
  return base + min(t, sizes.T - 1u) * (out_line() / 4u) + c / 4u;
}

fn load(base: u32, t: u32, c: u32) -> vec4f { return vec4f(qkv[place(base, t, c)]); }

// Channels c .. c+3 of four positions from t on, a position a column.
fn load_four(base: u32, t: u32, c: u32) -> mat4x4f {
  return mat4x4f(load(base, t, c), load(base, t + 1u, c), load(base, t + 2u, c), load(base, t + 3u, c));
}

// What four lanes from `first` on hold.
fn lanes_from(held: vec4f, first: u32) -> mat4x4f {
  return mat4x4f(
    subgroupShuffle(held, first),
    subgroupShuffle(held, first + 1u),
    subgroupShuffle(held, first + 2u),
    subgroupShuffle(held, first + 3u),
  );
}

// What one lane holds.
fn lane_of(held: mat4x4f, lane: u32) -> mat4x4f {
  return mat4x4f(
    subgroupShuffle(held[0], lane),
    subgroupShuffle(held[1], lane),
    subgroupShuffle(held[2], lane),
    subgroupShuffle(held[3], lane),
  );
}

// LANES * 2 rows, a column each, in fours: a and b are the first LANES, c and d the others. With 4 lanes b and d stay
// unused.
struct Rows { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }

// Adds m * row, of the rows whose vectors the lanes hold: in near those of the first LANES.
fn add_held(rows: ptr<function, Rows>, m: mat4x4f, near: vec4f, far: vec4f) {
  (*rows).a += m * lanes_from(near, 0u);
  if (LANES == 8u) { (*rows).b += m * lanes_from(near, 4u); }
  (*rows).c += m * lanes_from(far, 0u);
  if (LANES == 8u) { (*rows).d += m * lanes_from(far, 4u); }
}

// Adds m * row, of the rows that one lane holds.
fn add_lane(rows: ptr<function, Rows>, m: mat4x4f, held: Rows, lane: u32) {
  (*rows).a += m * lane_of(held.a, lane);
  if (LANES == 8u) { (*rows).b += m * lane_of(held.b, lane); }
  (*rows).c += m * lane_of(held.c, lane);
  if (LANES == 8u) { (*rows).d += m * lane_of(held.d, lane); }
}

// Rows t0 and t0 + LANES of the lane, at `left`, times four positions from s on at `right`: over all of a head's channels.
fn products(left: u32, t0: u32, right: u32, s: u32) -> Rows {
  var sums = Rows();
  for (var c = 0u; c < sizes.HS; c += 4u) {
    let m = transpose(load_four(right, s, c));
    add_held(&sums, m, load(left, t0, c), load(left, t0 + LANES, c));
  }
  return sums;
}

// For a loop that finds the row at run time, less to compile than code for every row: row r is fours(rows)[four_of(r)][r % 4u].
fn fours(rows: Rows) -> array<mat4x4f, 4> { return array<mat4x4f, 4>(rows.a, rows.b, rows.c, rows.d); }
fn four_of(r: u32) -> u32 { return r / LANES * 2u + r % LANES / 4u; }

// Blocks of channels that a head's are shared out in, LANES * 4 each.
fn blocks() -> u32 { return (sizes.HS + LANES * 4u - 1u) / (LANES * 4u); }
