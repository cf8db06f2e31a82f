// Causal multi-head attention backward on matrix units (tensor cores), the keys' and values' half: the same as
// attention_backward_kv_tiles.wgsl, with p and dscore rounded to f16 and sums in f32.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
// summed over the heads of q that share the key's, one after the other.
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_matrix. Its work is spread as there, with
// keys for queries: UNIT_M keys a subgroup, whose k, v, dk and dv stay in matrices, the queries 32 at a time. All
// four products have keys as rows, so that none needs a transpose of p or dscore.
// with: attention_matrix_gradients
// reference: attentionBackwardKv()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

// What qkv, dout and dqkv hold: numbers in f32, or in f16.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

// The tile holds k; v; then q and, from line STEP on, dout. A row is a key.
var<workgroup> weights: array<vec4h, ROWS * WEIGHT_PITCH>;   // (key, query) p
var<workgroup> largests: array<vec4f, STEP / 4u>;            // of each query
var<workgroup> inverses: array<vec4f, STEP / 4u>;            // 1 / sum
var<workgroup> deltas: array<vec4f, STEP / 4u>;

// Of queries from t0 on, four a thread: single components of a vector must not be written by several threads. Those
// past the end weigh nothing.
fn stage_queries(line: u32, t0: u32, thread: u32) {
  for (var i = thread; i < STEP / 4u; i += THREADS) {
    let queries = vec4u(t0 + i * 4u) + vec4u(0u, 1u, 2u, 3u);
    let at = vec4u(line) + min(queries, vec4u(sizes.T - 1u));
    let inverse = vec4f(stats[at.x].y, stats[at.y].y, stats[at.z].y, stats[at.w].y);
    largests[i] = vec4f(stats[at.x].x, stats[at.y].x, stats[at.z].x, stats[at.w].x);
    inverses[i] = select(vec4f(), inverse, queries < vec4u(sizes.T));
    deltas[i] = vec4f(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
  }
}

@compute @workgroup_size(THREADS)
fn attention_backward_kv_matrix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = lane / UNIT_M;          // of the row that the lane shares
  let first = subgroup * UNIT_M;     // of the subgroup's rows
  let row = first + lane % UNIT_M;
  let s0 = group.z * ROWS;
  let s = s0 + row;
  let own = vectors_of(group.y, group.x * sharers());
  let scale = 1.0 / sqrt(f32(HS));

  var keys: array<Left, WIDTH / UNIT_K>;
  var values: array<Left, WIDTH / UNIT_K>;
  stage_rows(own.k, s0, thread);
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) { keys[i] = own_at(first, i); }
  workgroupBarrier();
  stage_rows(own.v, s0, thread);
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) { values[i] = own_at(first, i); }

  var dk: array<Sums, WIDTH / UNIT_N>;
  var dv: array<Sums, WIDTH / UNIT_N>;
  for (var j = 0u; j < WIDTH / UNIT_N; j++) { dk[j] = Sums(); dv[j] = Sums(); }   // no driver need do it
  for (var n = 0u; n < sharers(); n++) {
    let at = vectors_of(group.y, group.x * sharers() + n);
    for (var t0 = s0; t0 < sizes.T; t0 += STEP) {
      workgroupBarrier();   // the tile is read to the end
      stage(at.q, t0, 0u, thread);
      stage_gradients(at.out, t0, STEP, thread);
      stage_queries(at.row, t0, thread);
      workgroupBarrier();
      for (var across = 0u; across < ACROSS; across++) {
        let j = across * UNIT_N;
        var score = Sums();   // a declaration without it is zero the first time only
        var dp = Sums();
        for (var i = 0u; i < WIDTH / UNIT_K; i++) {
          let queries = columns_at(j, i);
          let gradients = columns_at(STEP + j, i);
          score = subgroupMatrixMultiplyAccumulate(keys[i], queries, score);
          dp = subgroupMatrixMultiplyAccumulate(values[i], gradients, dp);
        }
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j / 4u, score, SCORE_PITCH);
        subgroupMatrixStore<row_major>(&dps, first * SCORE_PITCH + j / 4u, dp, SCORE_PITCH);
      }
      workgroupBarrier();
      for (var n = 0u; n < STEP / 4u / PARTS; n++) {
        let i = n * PARTS + part;
        let queries = vec4u(t0 + i * 4u) + vec4u(0u, 1u, 2u, 3u);
        let exponential = exp(min(scores[row * SCORE_PITCH + i] * scale - largests[i], vec4f()));
        let p = select(vec4f(), exponential * inverses[i], queries >= vec4u(s));
        weights[row * WEIGHT_PITCH + i] = vec4h(p);
        dscores[row * WEIGHT_PITCH + i] = vec4h(p * (dps[row * SCORE_PITCH + i] - deltas[i]) * scale);
      }
      workgroupBarrier();
      for (var depth = 0u; depth < STEP / UNIT_K; depth++) {
        let i = depth * UNIT_K;
        let p = subgroupMatrixLoad<Left, row_major>(&weights, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
        let dscore = subgroupMatrixLoad<Left, row_major>(&dscores, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
        for (var j = 0u; j < WIDTH / UNIT_N; j++) {
          let queries = rows_at(i, j);
          let gradients = rows_at(STEP + i, j);
          dk[j] = subgroupMatrixMultiplyAccumulate(dscore, queries, dk[j]);
          dv[j] = subgroupMatrixMultiplyAccumulate(p, gradients, dv[j]);
        }
      }
    }
  }

  for (var strip = 0u; strip < (WIDTH + STEP - 1u) / STEP; strip++) {
    let c0 = strip * STEP;
    for (var j = 0u; j < ACROSS; j++) {
      if (strip * ACROSS + j < WIDTH / UNIT_N) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j * UNIT_N / 4u, dk[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
        subgroupMatrixStore<row_major>(&dps, first * SCORE_PITCH + j * UNIT_N / 4u, dv[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < STEP / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      if (s < sizes.T && c0 + i * 4u < HS) {
        let vector = s * (qkv_line() / 4u) + c0 / 4u + i;
        dqkv[own.k + vector] = Element(scores[row * SCORE_PITCH + i]);
        dqkv[own.v + vector] = Element(dps[row * SCORE_PITCH + i]);
      }
    }
    workgroupBarrier();
  }
}
