// Causal multi-head attention backward on matrix units (tensor cores), the queries' half: the same as
// attention_backward_q_tiles.wgsl, with dscore rounded to f16 and sums in f32.
//
//   delta[t]    = dout[t] . out[t]
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dq[t]       = sum over s <= t of dscore[t,s] * k[s]
//
// Writes the q part of dqkv, and delta for attention_backward_kv_matrix. Its work is spread as in
// attention_forward_matrix: UNIT_M queries a subgroup, whose q, dout and dq stay in matrices, the keys 32 at a time.
// Scores and gradients of p go to workgroup memory and come back as dscore.
// with: attention_matrix_gradients
// reference: attentionBackwardQ()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

// What out, qkv, dout and dqkv hold: numbers in f32, or in f16.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;      // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<Element>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

// The tile holds q; dout; then k and, from line STEP on, v. A row is a query.

@compute @workgroup_size(THREADS)
fn attention_backward_q_matrix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = lane / UNIT_M;          // of the row that the lane shares
  let first = subgroup * UNIT_M;     // of the subgroup's rows
  let row = first + lane % UNIT_M;
  let t0 = (groups.z - 1u - group.z) * ROWS;
  let t = t0 + row;
  let at = vectors_of(group.y, group.x);
  let scale = 1.0 / sqrt(f32(HS));

  let own = min(t, sizes.T - 1u);
  let largest = stats[at.row + own].x;
  let inverse = stats[at.row + own].y;
  var less = 0.0;   // delta of the row
  for (var c = part; c < HS / 4u; c += PARTS) {
    let vector = at.out + own * (out_line() / 4u) + c;
    less += dot(vec4f(dout[vector]), vec4f(out[vector]));
  }
  less = sum_of(less, row, part);
  if (part == 0u && t < sizes.T) { delta[at.row + t] = less; }

  var queries: array<Left, WIDTH / UNIT_K>;
  var gradients: array<Left, WIDTH / UNIT_K>;   // dout
  stage_rows(at.q, t0, thread);
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) { queries[i] = own_at(first, i); }
  workgroupBarrier();
  for (var n = 0u; n < (ROWS + STEP - 1u) / STEP; n++) { stage_gradients(at.out, t0 + n * STEP, n * STEP, thread); }
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) { gradients[i] = own_at(first, i); }

  var dq: array<Sums, WIDTH / UNIT_N>;
  for (var j = 0u; j < WIDTH / UNIT_N; j++) { dq[j] = Sums(); }   // no driver need do it
  for (var s0 = 0u; s0 < min(t0 + ROWS, sizes.T); s0 += STEP) {
    workgroupBarrier();   // the tile is read to the end
    stage(at.k, s0, 0u, thread);
    stage(at.v, s0, STEP, thread);
    workgroupBarrier();
    for (var across = 0u; across < ACROSS; across++) {
      let j = across * UNIT_N;
      var score = Sums();   // a declaration without it is zero the first time only
      var dp = Sums();
      for (var i = 0u; i < WIDTH / UNIT_K; i++) {
        let keys = columns_at(j, i);
        let values = columns_at(STEP + j, i);
        score = subgroupMatrixMultiplyAccumulate(queries[i], keys, score);
        dp = subgroupMatrixMultiplyAccumulate(gradients[i], values, dp);
      }
      subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j / 4u, score, SCORE_PITCH);
      subgroupMatrixStore<row_major>(&dps, first * SCORE_PITCH + j / 4u, dp, SCORE_PITCH);
    }
    workgroupBarrier();
    for (var n = 0u; n < STEP / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      let keys = vec4u(s0 + i * 4u) + vec4u(0u, 1u, 2u, 3u);
      let exponential = exp(min(scores[row * SCORE_PITCH + i] * scale - largest, vec4f()));
      let p = select(vec4f(), exponential * inverse, keys <= vec4u(t));
      dscores[row * WEIGHT_PITCH + i] = vec4h(p * (dps[row * SCORE_PITCH + i] - less) * scale);
    }
    workgroupBarrier();
    for (var depth = 0u; depth < STEP / UNIT_K; depth++) {
      let i = depth * UNIT_K;
      let left = subgroupMatrixLoad<Left, row_major>(&dscores, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
      for (var j = 0u; j < WIDTH / UNIT_N; j++) {
        let keys = rows_at(i, j);
        dq[j] = subgroupMatrixMultiplyAccumulate(left, keys, dq[j]);
      }
    }
  }

  for (var strip = 0u; strip < (WIDTH + STEP - 1u) / STEP; strip++) {
    let c0 = strip * STEP;
    for (var j = 0u; j < ACROSS; j++) {
      if (strip * ACROSS + j < WIDTH / UNIT_N) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j * UNIT_N / 4u, dq[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < STEP / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      if (t < sizes.T && c0 + i * 4u < HS) {
        dqkv[at.q + t * (qkv_line() / 4u) + c0 / 4u + i] = Element(scores[row * SCORE_PITCH + i]);
      }
    }
    workgroupBarrier();
  }
}
