// Causal multi-head attention backward on matrix units (tensor cores), the keys' and values' half: the same as
// attention_backward_kv_tiles.wgsl, with p and dscore rounded to f16 and sums in f32.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q_matrix. Its work is spread as there, with
// keys for queries: UNIT_M keys a subgroup, whose k, v, dk and dv stay in matrices, the queries 32 at a time. All
// four products have keys as rows, so that none needs a transpose of p or dscore.
// reference: attentionBackwardKv()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const UNIT_M = 8u;    // given: rows of the device's matrices, left and result
const UNIT_N = 8u;    // given: columns, right and result
const UNIT_K = 8u;    // given: columns of the left, rows of the right
const HS = 64u;       // given: channels of a head, a multiple of 4
const DOWN = 4u;      // given: subgroups, of UNIT_M keys each; of 64 keys at most
const LANES = 8u;     // given: the subgroup's size

// What qkv, dout and dqkv hold: numbers in f32, or in f16.
alias Element = vec4f;   // given

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, 3C)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<Element>;          // (B, T, 3C)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

const QUERIES = 32u;
const KEYS = DOWN * UNIT_M;
const PARTS = LANES / UNIT_M;   // lanes that share a row
const THREADS = LANES * DOWN;
const ACROSS = QUERIES / UNIT_N;    // matrices
const UNIT = max(UNIT_N, UNIT_K);
const WIDTH = (HS + UNIT - 1u) / UNIT * UNIT;   // channels, with zeros from HS on
const PITCH = (WIDTH + 8u) / 4u;                // of a line, in vectors
const SCORE_PITCH = (QUERIES + 4u) / 4u;
const WEIGHT_PITCH = (QUERIES + 8u) / 4u;
// All of them take whole pieces of 16 bytes: a driver that packs them must not move one to where no matrix can be
// loaded from.
var<workgroup> tile: array<vec4h, 2u * QUERIES * PITCH>;     // k; v; then q and, from line QUERIES on, dout
var<workgroup> scores: array<vec4f, KEYS * SCORE_PITCH>;     // (key, query); dk, QUERIES channels at a time
var<workgroup> dps: array<vec4f, KEYS * SCORE_PITCH>;        // (key, query) gradients of p; dv
var<workgroup> weights: array<vec4h, KEYS * WEIGHT_PITCH>;   // (key, query) p
var<workgroup> dscores: array<vec4h, KEYS * WEIGHT_PITCH>;   // (key, query)
var<workgroup> largests: array<vec4f, QUERIES / 4u>;         // of each query
var<workgroup> inverses: array<vec4f, QUERIES / 4u>;         // 1 / sum
var<workgroup> deltas: array<vec4f, QUERIES / 4u>;

alias Left = subgroup_matrix_left<f16, UNIT_K, UNIT_M>;
alias Right = subgroup_matrix_right<f16, UNIT_N, UNIT_K>;
alias Sums = subgroup_matrix_result<f32, UNIT_N, UNIT_M>;

// QUERIES positions from `first` on, past the end the last one, to lines of the tile, of dout or of q, k or v; vector 0
// of position 0 lies at `base`.
fn stage(gradients: bool, base: u32, first: u32, line: u32, thread: u32) {
  for (var n = 0u; n < (QUERIES * (WIDTH / 4u) + THREADS - 1u) / THREADS; n++) {
    let index = n * THREADS + thread;
    let i = index / (WIDTH / 4u);
    let c = index % (WIDTH / 4u);
    let position = min(first + i, sizes.T - 1u) * (sizes.C / 4u);
    let inside = min(c, HS / 4u - 1u);
    var vector = vec4h();
    if (gradients) {
      vector = vec4h(dout[base + position + inside]);
    } else {
      vector = vec4h(qkv[base + 3u * position + inside]);
    }
    if (i < QUERIES) { tile[(line + i) * PITCH + c] = select(vec4h(), vector, c < HS / 4u); }
  }
}

// Of queries from t0 on, four a thread: single components of a vector must not be written by several threads. Those
// past the end weigh nothing.
fn stage_rows(line: u32, t0: u32, thread: u32) {
  for (var i = thread; i < QUERIES / 4u; i += LANES * DOWN) {
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
  let s0 = group.z * KEYS;
  let s = s0 + row;
  let o = (group.y * sizes.T * sizes.C + group.x * HS) / 4u;
  let q = (group.y * sizes.T * 3u * sizes.C + group.x * HS) / 4u;
  let k = q + sizes.C / 4u;
  let v = k + sizes.C / 4u;
  let line = (group.y * sizes.NH + group.x) * sizes.T;
  let scale = 1.0 / sqrt(f32(HS));

  var keys: array<Left, WIDTH / UNIT_K>;
  var values: array<Left, WIDTH / UNIT_K>;
  for (var n = 0u; n < (KEYS + QUERIES - 1u) / QUERIES; n++) { stage(false, k, s0 + n * QUERIES, n * QUERIES, thread); }
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) {
    keys[i] = subgroupMatrixLoad<Left, row_major>(&tile, first * PITCH + i * UNIT_K / 4u, PITCH);
  }
  workgroupBarrier();
  for (var n = 0u; n < (KEYS + QUERIES - 1u) / QUERIES; n++) { stage(false, v, s0 + n * QUERIES, n * QUERIES, thread); }
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) {
    values[i] = subgroupMatrixLoad<Left, row_major>(&tile, first * PITCH + i * UNIT_K / 4u, PITCH);
  }

  var dk: array<Sums, WIDTH / UNIT_N>;
  var dv: array<Sums, WIDTH / UNIT_N>;
  for (var j = 0u; j < WIDTH / UNIT_N; j++) { dk[j] = Sums(); dv[j] = Sums(); }   // no driver need do it
  for (var t0 = s0; t0 < sizes.T; t0 += QUERIES) {
    workgroupBarrier();   // the tile is read to the end
    stage(false, q, t0, 0u, thread);
    stage(true, o, t0, QUERIES, thread);
    stage_rows(line, t0, thread);
    workgroupBarrier();
    for (var across = 0u; across < ACROSS; across++) {
      let j = across * UNIT_N;
      var score = Sums();   // a declaration without it is zero the first time only
      var dp = Sums();
      for (var i = 0u; i < WIDTH / UNIT_K; i++) {
        let queries = subgroupMatrixLoad<Right, col_major>(&tile, j * PITCH + i * UNIT_K / 4u, PITCH);
        let gradients = subgroupMatrixLoad<Right, col_major>(&tile, (QUERIES + j) * PITCH + i * UNIT_K / 4u, PITCH);
        score = subgroupMatrixMultiplyAccumulate(keys[i], queries, score);
        dp = subgroupMatrixMultiplyAccumulate(values[i], gradients, dp);
      }
      subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j / 4u, score, SCORE_PITCH);
      subgroupMatrixStore<row_major>(&dps, first * SCORE_PITCH + j / 4u, dp, SCORE_PITCH);
    }
    workgroupBarrier();
    for (var n = 0u; n < QUERIES / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      let queries = vec4u(t0 + i * 4u) + vec4u(0u, 1u, 2u, 3u);
      let exponential = exp(min(scores[row * SCORE_PITCH + i] * scale - largests[i], vec4f()));
      let p = select(vec4f(), exponential * inverses[i], queries >= vec4u(s));
      weights[row * WEIGHT_PITCH + i] = vec4h(p);
      dscores[row * WEIGHT_PITCH + i] = vec4h(p * (dps[row * SCORE_PITCH + i] - deltas[i]) * scale);
    }
    workgroupBarrier();
    for (var depth = 0u; depth < QUERIES / UNIT_K; depth++) {
      let i = depth * UNIT_K;
      let p = subgroupMatrixLoad<Left, row_major>(&weights, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
      let dscore = subgroupMatrixLoad<Left, row_major>(&dscores, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
      for (var j = 0u; j < WIDTH / UNIT_N; j++) {
        let queries = subgroupMatrixLoad<Right, row_major>(&tile, i * PITCH + j * UNIT_N / 4u, PITCH);
        let gradients = subgroupMatrixLoad<Right, row_major>(&tile, (QUERIES + i) * PITCH + j * UNIT_N / 4u, PITCH);
        dk[j] = subgroupMatrixMultiplyAccumulate(dscore, queries, dk[j]);
        dv[j] = subgroupMatrixMultiplyAccumulate(p, gradients, dv[j]);
      }
    }
  }

  for (var strip = 0u; strip < (WIDTH + QUERIES - 1u) / QUERIES; strip++) {
    let c0 = strip * QUERIES;
    for (var j = 0u; j < ACROSS; j++) {
      if (strip * ACROSS + j < WIDTH / UNIT_N) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j * UNIT_N / 4u, dk[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
        subgroupMatrixStore<row_major>(&dps, first * SCORE_PITCH + j * UNIT_N / 4u, dv[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < QUERIES / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      if (s < sizes.T && c0 + i * 4u < HS) {
        let vector = s * (sizes.C / 4u * 3u) + c0 / 4u + i;
        dqkv[k + vector] = Element(scores[row * SCORE_PITCH + i]);
        dqkv[v + vector] = Element(dps[row * SCORE_PITCH + i]);
      }
    }
    workgroupBarrier();
  }
}
