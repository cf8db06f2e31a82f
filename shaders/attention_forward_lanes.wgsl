// Causal multi-head attention forward for software GPUs, with the softmax made in one pass over the keys.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// A subgroup is a workgroup, so there is no barrier. It serves LANES * 2 queries of a head, and of their output
// one block of LANES * 4 channels. The keys come in blocks of LANES * 4, four a lane. Both products are made
// as in matmul_lanes: of q, then of the exponentials, each lane holds a vector, which goes round by shuffles;
// of k, then of v, it loads 4 x 4 blocks. stats keeps each row's largest score and 1 / sum of exponentials.
// with: attention_lanes
// reference: attentionForward()

enable subgroups;

override LANES: u32 = 8u;   // the subgroup's size, 4 or 8

// What out and qkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (B, T, W)
@group(0) @binding(3) var<uniform> sizes: Sizes;

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
  let head = group.y / blocks();
  let c = (group.y % blocks() * LANES + lane) * 4u;   // the lane's channels of the head
  let at = vectors_of(group.z, head);
  let t = group.x * LANES * 2u;
  let end = min(t + LANES * 2u, sizes.T);

  // With 4 lanes the second and the fourth four stay unused.
  var four0 = nothing();
  var four1 = nothing();
  var four2 = nothing();
  var four3 = nothing();
  for (var first = 0u; first < end; first += LANES * 4u) {
    let s = first + lane * 4u;
    var p = products(at.q, t + lane, at.k, s);
    p.a = soften(&four0, p.a, t, s);
    if (LANES == 8u) { p.b = soften(&four1, p.b, t + 4u, s); }
    p.c = soften(&four2, p.c, t + LANES, s);
    if (LANES == 8u) { p.d = soften(&four3, p.d, t + LANES + 4u, s); }
    for (var l = 0u; l < LANES && first + l * 4u < end; l++) {
      let v = load_four(at.v, first + l * 4u, min(c, sizes.HS - 4u));
      four0.out += v * lane_of(p.a, l);
      if (LANES == 8u) { four1.out += v * lane_of(p.b, l); }
      four2.out += v * lane_of(p.c, l);
      if (LANES == 8u) { four3.out += v * lane_of(p.d, l); }
    }
  }
  // A loop that finds the row at run time: less to compile than code for every row.
  let outs = array<mat4x4f, 4>(four0.out, four1.out, four2.out, four3.out);
  let largest = array<vec4f, 4>(four0.largest, four1.largest, four2.largest, four3.largest);
  let sums = array<vec4f, 4>(four0.sum, four1.sum, four2.sum, four3.sum);
  for (var r = 0u; t + r < end; r++) {
    let four = four_of(r);
    let sum = subgroupAdd(sums[four][r % 4u]);
    if (c < sizes.HS) { out[place_out(at.out, t + r, c)] = Element(outs[four][r % 4u] / sum); }
    if (c == 0u) { stats[at.row + t + r] = vec2f(largest[four][r % 4u], 1.0 / sum); }
  }
}
