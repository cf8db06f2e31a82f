// Causal multi-head attention forward for software GPUs, with the softmax made in one pass over the keys.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// A subgroup is a workgroup, so there is no barrier. It serves LANES * 2 queries of a head, and of their output
// one block of LANES * 4 channels. The keys come in blocks of LANES * 4, four a lane. Both products are made
// as in matmul_lanes: of q, then of the exponentials, each lane holds a vector, which goes round by shuffles;
// of k, then of v, it loads 4 x 4 blocks. stats keeps each row's largest score and 1 / sum of exponentials.
// reference: attentionForward()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

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

// Where channels c .. c+3 of position t lie in q, k or v (part 0, 1 or 2); past the end the last position's.
fn place(part: u32, row: u32, t: u32, c: u32) -> u32 {
  return (((row + min(t, sizes.T - 1u)) * 3u + part) * sizes.C + c) / 4u;
}

// Channels c .. c+3 of four positions from t on, a position a column.
fn load_four(part: u32, row: u32, t: u32, c: u32) -> mat4x4f {
  return mat4x4f(
    vec4f(qkv[place(part, row, t, c)]),
    vec4f(qkv[place(part, row, t + 1u, c)]),
    vec4f(qkv[place(part, row, t + 2u, c)]),
    vec4f(qkv[place(part, row, t + 3u, c)]),
  );
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

// The largest of what all lanes hold, by shuffles: faster there than the built-in reduction.
fn largest_of(held: vec4f) -> vec4f {
  var largest = max(held, subgroupShuffleXor(held, 1u));
  largest = max(largest, subgroupShuffleXor(largest, 2u));
  if (LANES == 8u) { largest = max(largest, subgroupShuffleXor(largest, 4u)); }
  return largest;
}

// Four queries: a column each, or a component.
struct Four {
  largest: vec4f,   // of the scores so far
  sum: vec4f,       // of the lane's exponentials
  out: mat4x4f,     // at the lane's channels
}

fn nothing() -> Four {
  return Four(vec4f(-3.4e38), vec4f(), mat4x4f());
}

// Turns the scores of queries t .. t+3 with keys s .. s+3 into exponentials, and what was summed so far with them.
fn soften(four: ptr<function, Four>, products: mat4x4f, t: u32, s: u32) -> mat4x4f {
  let keys = vec4u(s) + vec4u(0u, 1u, 2u, 3u);
  let scale = 1.0 / sqrt(f32(sizes.HS));
  let none = vec4f(-3.4e38);
  let scores = transpose(mat4x4f(
    select(none, products[0] * scale, keys <= vec4u(t)),
    select(none, products[1] * scale, keys <= vec4u(t + 1u)),
    select(none, products[2] * scale, keys <= vec4u(t + 2u)),
    select(none, products[3] * scale, keys <= vec4u(t + 3u)),
  ));
  let highest = largest_of(max(max(scores[0], scores[1]), max(scores[2], scores[3])));
  let largest = max((*four).largest, highest);
  let rescale = exp((*four).largest - largest);
  let p = mat4x4f(
    exp(scores[0] - largest),
    exp(scores[1] - largest),
    exp(scores[2] - largest),
    exp(scores[3] - largest),
  );
  let sums = (*four).out;
  (*four).out = mat4x4f(sums[0] * rescale.x, sums[1] * rescale.y, sums[2] * rescale.z, sums[3] * rescale.w);
  (*four).sum = (*four).sum * rescale + (p[0] + p[1]) + (p[2] + p[3]);
  (*four).largest = largest;
  return transpose(p);
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
  let t = group.x * LANES * 2u;
  let end = min(t + LANES * 2u, sizes.T);

  // With 4 lanes the second and the fourth four stay unused.
  var four0 = nothing();
  var four1 = nothing();
  var four2 = nothing();
  var four3 = nothing();
  for (var first = 0u; first < end; first += LANES * 4u) {
    let s = first + lane * 4u;
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    var p2 = mat4x4f();
    var p3 = mat4x4f();
    for (var i = 0u; i < sizes.HS; i += 4u) {
      let k = transpose(load_four(1u, row, s, head * sizes.HS + i));
      let q0 = vec4f(qkv[place(0u, row, t + lane, head * sizes.HS + i)]);
      let q1 = vec4f(qkv[place(0u, row, t + LANES + lane, head * sizes.HS + i)]);
      p0 += k * lanes_from(q0, 0u);
      if (LANES == 8u) { p1 += k * lanes_from(q0, 4u); }
      p2 += k * lanes_from(q1, 0u);
      if (LANES == 8u) { p3 += k * lanes_from(q1, 4u); }
    }
    p0 = soften(&four0, p0, t, s);
    if (LANES == 8u) { p1 = soften(&four1, p1, t + 4u, s); }
    p2 = soften(&four2, p2, t + LANES, s);
    if (LANES == 8u) { p3 = soften(&four3, p3, t + LANES + 4u, s); }
    for (var l = 0u; l < LANES && first + l * 4u < end; l++) {
      let v = load_four(2u, row, first + l * 4u, head * sizes.HS + min(c, sizes.HS - 4u));
      four0.out += v * lane_of(p0, l);
      if (LANES == 8u) { four1.out += v * lane_of(p1, l); }
      four2.out += v * lane_of(p2, l);
      if (LANES == 8u) { four3.out += v * lane_of(p3, l); }
    }
  }
  // A loop that finds the row at run time: less to compile than code for every row.
  let outs = array<mat4x4f, 4>(four0.out, four1.out, four2.out, four3.out);
  let largest = array<vec4f, 4>(four0.largest, four1.largest, four2.largest, four3.largest);
  let sums = array<vec4f, 4>(four0.sum, four1.sum, four2.sum, four3.sum);
  for (var r = 0u; t + r < end; r++) {
    let four = r / LANES * 2u + r % LANES / 4u;
    let sum = subgroupAdd(sums[four][r % 4u]);
    if (c < sizes.HS) { out[((row + t + r) * sizes.C + head * sizes.HS + c) / 4u] = Element(outs[four][r % 4u] / sum); }
    if (c == 0u) { stats[(group.z * sizes.NH + head) * sizes.T + t + r] = vec2f(largest[four][r % 4u], 1.0 / sum); }
  }
}
