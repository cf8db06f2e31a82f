// Causal multi-head attention backward in tiles, the keys' and values' half.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
// summed over the heads of q that share the key's, one after the other.
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_tiles. A workgroup serves 64
// keys of a head and 64 of their channels, the queries 32 at a time, spread as in attention_forward_tiles
// with keys for queries. It is two teams of 8 x 8 threads, side by side with two tiles each:
//   team 0   k and q give the scores, hence p;             p and dout give dv
//   team 1   v and dout the gradients of p, hence dscore;  dscore and q give dk
// with: attention_tiles
// reference: attentionBackwardKv()

// What qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

const TEAMS = 2u;   // left and right: k, p and q, dout of team 0; v, dscore and dout, q of team 1

// Vectors c .. c + DEPTH - 1 of 32 queries' gradients to the right,
fn stage_gradients(i: u32, base: u32, t0: u32, c: u32, thread: u32) {
  let d = thread % DEPTH;
  for (var row = thread / DEPTH; row < 32u; row += 64u / DEPTH) {
    right[i + row / 8u][row % 8u][d ^ (row % 8u)] = vec4f(dout[base + out_line_at(t0 + row) + c + d]);
  }
}

// and the 16 vectors from `block` on of the same.
fn stage_gradient_block(i: u32, base: u32, t0: u32, block: u32, thread: u32) {
  let d = thread % 16u;
  let c = min(block + d, sizes.HS / 4u - 1u);
  for (var row = thread / 16u; row < 32u; row += 4u) {
    right[i + row / 8u + d / 8u * 4u][row % 8u][d % 8u] = vec4f(dout[base + out_line_at(t0 + row) + c]);
  }
}

// Four keys' weights, 0 for the queries before the key and those past the end.
fn softmax(scores: mat4x4f, largest: vec4f, inverse: vec4f, queries: vec4u, s: u32) -> mat4x4f {
  let none = vec4f();
  let real = queries < vec4u(sizes.T);
  return mat4x4f(
    select(none, exp(min(scores[0] - largest, none)) * inverse, real & (queries >= vec4u(s))),
    select(none, exp(min(scores[1] - largest, none)) * inverse, real & (queries >= vec4u(s + 8u))),
    select(none, exp(min(scores[2] - largest, none)) * inverse, real & (queries >= vec4u(s + 16u))),
    select(none, exp(min(scores[3] - largest, none)) * inverse, real & (queries >= vec4u(s + 24u))),
  );
}

// Of four keys: p * (dp - less).
fn dscores(p: mat4x4f, dp: mat4x4f, less: vec4f) -> mat4x4f {
  return mat4x4f(p[0] * (dp[0] - less), p[1] * (dp[1] - less), p[2] * (dp[2] - less), p[3] * (dp[3] - less));
}

fn store(base: u32, s: u32, c: u32, value: vec4f) {
  if (s < sizes.T && c * 4u < sizes.HS) { dqkv[base + s * (qkv_line() / 4u) + c] = Element(value); }
}

@compute @workgroup_size(128)
fn attention_backward_kv_tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let team = index / 64u;
  let thread = index % 64u;
  let i = team * 8u;            // where the team's tiles begin
  let scores = team == 0u;   // whether the thread makes the scores, or else the gradients of p
  let share = share_of(thread, group.x);
  let own = vectors_of(group.y, share.head * sharers());
  let s0 = group.z * 64u;
  let s = s0 + share.y;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  var sums = Rows();   // of dv in team 0, of dk in team 1
  for (var n = 0u; n < sharers(); n++) {
    let at = vectors_of(group.y, share.head * sharers() + n);
    for (var t0 = s0; t0 < sizes.T; t0 += 32u) {
      var p0 = mat4x4f();
      var p1 = mat4x4f();
      for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
        workgroupBarrier();   // all tiles are read to the end
        stage_left(i, select(at.v, at.k, scores), s0, c, thread);
        if (scores) { stage_right(i, at.q, t0, c, thread); } else { stage_gradients(i, at.out, t0, c, thread); }
        workgroupBarrier();
        add_chunk(&p0, &p1, i, share.x, share.y);
      }
      let queries = vec4u(t0 + share.x) + vec4u(0u, 8u, 16u, 24u);
      let rows = at.row + min(queries, vec4u(sizes.T - 1u));
      workgroupBarrier();
      if (scores) { stage_gradient_block(i, at.out, t0, share.block, thread); } else { stage_block(i, at.q, t0, share.block, thread); }
      if (scores) {
        let largest = vec4f(stats[rows.x].x, stats[rows.y].x, stats[rows.z].x, stats[rows.w].x);
        let inverse = vec4f(stats[rows.x].y, stats[rows.y].y, stats[rows.z].y, stats[rows.w].y);
        store_left(0u, share.y, share.x, softmax(p0 * scale, largest, inverse, queries, s));
        store_left(4u, share.y, share.x, softmax(p1 * scale, largest, inverse, queries, s + 32u));
      }
      workgroupBarrier();
      if (!scores) {
        let less = vec4f(delta[rows.x], delta[rows.y], delta[rows.z], delta[rows.w]);
        store_left(8u, share.y, share.x, dscores(left_rows(0u, share.y, share.x), p0, less) * scale);
        store_left(12u, share.y, share.x, dscores(left_rows(4u, share.y, share.x), p1, less) * scale);
      }
      workgroupBarrier();
      add_block(&sums, i, share.x, share.y);
    }
  }
  store_rows(select(own.k, own.v, scores), s, share.block + share.x, sums);
}
