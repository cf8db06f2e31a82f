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
// with: attention_tiles
// reference: attentionBackwardQ()

// What out, qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;      // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<Element>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

const TEAMS = 1u;   // its left: q, dout, dscore; its right: k, v, k
var<workgroup> kept: array<array<vec4f, 64>, 8>;             // p, by row and thread
var<workgroup> row_stats: array<vec4f, 64>;                  // largest, 1 / sum, delta, 0: whole, by one thread

// Vectors c .. c + DEPTH - 1 of 64 queries' gradients to the left.
fn stage_gradients(base: u32, t0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 64u; row += 64u / DEPTH) {
    left[row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(dout[base + out_line_at(t0 + row) + c + d]);
  }
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
  if (t < sizes.T && c * 4u < sizes.HS) { dqkv[base + t * (qkv_line() / 4u) + c] = Element(value); }
}

@compute @workgroup_size(64)
fn attention_backward_q_tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let share = share_of(thread, group.x);
  let at = vectors_of(group.y, share.head);
  let t0 = (groups.z - 1u - group.z) * 64u;
  let t = t0 + share.y;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  for (var i = 0u; i < 8u; i++) {
    left[share.x][share.y][i / 4u][i % 4u] = part_of_delta(at.out + out_line_at(t + 8u * i), share.x);
  }
  workgroupBarrier();
  let i = thread / 8u;
  var delta_own = 0.0;   // of row thread % 8 + 8i
  for (var n = 0u; n < 8u; n++) { delta_own += left[n][thread % 8u][i / 4u][i % 4u]; }
  let own = at.row + min(t0 + thread, sizes.T - 1u);
  row_stats[thread] = vec4f(stats[own], delta_own, 0.0);
  if (share.block == 0u && t0 + thread < sizes.T) { delta[own] = delta_own; }

  var dq = Rows();
  for (var s0 = 0u; s0 < min(t0 + 64u, sizes.T); s0 += 32u) {
    for (var product = 0u; product < 2u; product++) {
      let scores = product == 0u;   // or else the gradients of p
      var p0 = mat4x4f();
      var p1 = mat4x4f();
      for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
        workgroupBarrier();   // both tiles are read to the end
        if (scores) { stage_left(0u, at.q, t0, c, thread); } else { stage_gradients(at.out, t0, c, thread); }
        stage_right(0u, select(at.v, at.k, scores), s0, c, thread);
        workgroupBarrier();
        add_chunk(&p0, &p1, 0u, share.x, share.y);
      }
      if (scores) {
        let keys = vec4u(s0 + share.x) + vec4u(0u, 8u, 16u, 24u);
        let near = stats_of(share.y);
        let far = stats_of(share.y + 32u);
        keep(0u, softmax(p0 * scale, near[0], near[1], keys, t), thread);
        keep(4u, softmax(p1 * scale, far[0], far[1], keys, t + 32u), thread);
      } else {
        workgroupBarrier();   // dout and v are read to the end
        store_left(0u, share.y, share.x, dscores(0u, p0, stats_of(share.y)[2], thread) * scale);
        store_left(4u, share.y, share.x, dscores(4u, p1, stats_of(share.y + 32u)[2], thread) * scale);
      }
    }
    stage_block(0u, at.k, s0, share.block, thread);
    workgroupBarrier();
    add_block(&dq, 0u, share.x, share.y);
  }
  store_rows(at.q, t, share.block + share.x, dq);
}
