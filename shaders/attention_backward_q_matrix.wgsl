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
// reference: attentionBackwardQ()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const UNIT_M = 8u;    // given: rows of the device's matrices, left and result
const UNIT_N = 8u;    // given: columns, right and result
const UNIT_K = 8u;    // given: columns of the left, rows of the right
const HS = 64u;       // given: channels of a head, a multiple of 4
const DOWN = 4u;      // given: subgroups, of UNIT_M queries each; of 64 queries at most
const LANES = 8u;     // given: the subgroup's size

// What out, qkv, dout and dqkv hold: numbers in f32, or in f16.
alias Element = vec4f;   // given

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
}

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, 3C)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;      // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<Element>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<Element>;          // (B, T, 3C)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

const KEYS = 32u;
const QUERIES = DOWN * UNIT_M;
const PARTS = LANES / UNIT_M;   // lanes that share a row
const THREADS = LANES * DOWN;
const ACROSS = KEYS / UNIT_N;    // matrices
const UNIT = max(UNIT_N, UNIT_K);
const WIDTH = (HS + UNIT - 1u) / UNIT * UNIT;   // channels, with zeros from HS on
const PITCH = (WIDTH + 8u) / 4u;                // of a line, in vectors
const SCORE_PITCH = (KEYS + 4u) / 4u;
const DSCORE_PITCH = (KEYS + 8u) / 4u;
// All of them take whole pieces of 16 bytes: a driver that packs them must not move one to where no matrix can be
// loaded from.
var<workgroup> tile: array<vec4h, 2u * KEYS * PITCH>;           // q; dout; then k and, from line KEYS on, v
var<workgroup> scores: array<vec4f, QUERIES * SCORE_PITCH>;     // (query, key); dq, KEYS channels at a time
var<workgroup> dps: array<vec4f, QUERIES * SCORE_PITCH>;        // (query, key) gradients of p
var<workgroup> dscores: array<vec4h, QUERIES * DSCORE_PITCH>;   // (query, key)

alias Left = subgroup_matrix_left<f16, UNIT_K, UNIT_M>;
alias Right = subgroup_matrix_right<f16, UNIT_N, UNIT_K>;
alias Sums = subgroup_matrix_result<f32, UNIT_N, UNIT_M>;

// KEYS positions from `first` on, past the end the last one, to lines of the tile, of dout or of q, k or v; vector 0
// of position 0 lies at `base`.
fn stage(gradients: bool, base: u32, first: u32, line: u32, thread: u32) {
  for (var n = 0u; n < (KEYS * (WIDTH / 4u) + THREADS - 1u) / THREADS; n++) {
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
    if (i < KEYS) { tile[(line + i) * PITCH + c] = select(vec4h(), vector, c < HS / 4u); }
  }
}

// The sum of what the lanes of a row hold.
fn sum_of(held: f32) -> f32 {
  var sum = held;
  for (var mask = UNIT_M; mask < LANES; mask *= 2u) { sum += subgroupShuffleXor(sum, mask); }
  return sum;
}

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
  let t0 = (groups.z - 1u - group.z) * QUERIES;
  let t = t0 + row;
  let o = (group.y * sizes.T * sizes.C + group.x * HS) / 4u;
  let q = (group.y * sizes.T * 3u * sizes.C + group.x * HS) / 4u;
  let k = q + sizes.C / 4u;
  let v = k + sizes.C / 4u;
  let scale = 1.0 / sqrt(f32(HS));

  let own = min(t, sizes.T - 1u);
  let at = (group.y * sizes.NH + group.x) * sizes.T + own;
  let largest = stats[at].x;
  let inverse = stats[at].y;
  var less = 0.0;   // delta of the row
  for (var c = part; c < HS / 4u; c += PARTS) {
    let vector = o + own * (sizes.C / 4u) + c;
    less += dot(vec4f(dout[vector]), vec4f(out[vector]));
  }
  less = sum_of(less);
  if (part == 0u && t < sizes.T) { delta[at] = less; }

  var queries: array<Left, WIDTH / UNIT_K>;
  var gradients: array<Left, WIDTH / UNIT_K>;   // dout
  for (var n = 0u; n < (QUERIES + KEYS - 1u) / KEYS; n++) { stage(false, q, t0 + n * KEYS, n * KEYS, thread); }
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) {
    queries[i] = subgroupMatrixLoad<Left, row_major>(&tile, first * PITCH + i * UNIT_K / 4u, PITCH);
  }
  workgroupBarrier();
  for (var n = 0u; n < (QUERIES + KEYS - 1u) / KEYS; n++) { stage(true, o, t0 + n * KEYS, n * KEYS, thread); }
  workgroupBarrier();
  for (var i = 0u; i < WIDTH / UNIT_K; i++) {
    gradients[i] = subgroupMatrixLoad<Left, row_major>(&tile, first * PITCH + i * UNIT_K / 4u, PITCH);
  }

  var dq: array<Sums, WIDTH / UNIT_N>;
  for (var j = 0u; j < WIDTH / UNIT_N; j++) { dq[j] = Sums(); }   // no driver need do it
  for (var s0 = 0u; s0 < min(t0 + QUERIES, sizes.T); s0 += KEYS) {
    workgroupBarrier();   // the tile is read to the end
    stage(false, k, s0, 0u, thread);
    stage(false, v, s0, KEYS, thread);
    workgroupBarrier();
    for (var across = 0u; across < ACROSS; across++) {
      let j = across * UNIT_N;
      var score = Sums();   // a declaration without it is zero the first time only
      var dp = Sums();
      for (var i = 0u; i < WIDTH / UNIT_K; i++) {
        let keys = subgroupMatrixLoad<Right, col_major>(&tile, j * PITCH + i * UNIT_K / 4u, PITCH);
        let values = subgroupMatrixLoad<Right, col_major>(&tile, (KEYS + j) * PITCH + i * UNIT_K / 4u, PITCH);
        score = subgroupMatrixMultiplyAccumulate(queries[i], keys, score);
        dp = subgroupMatrixMultiplyAccumulate(gradients[i], values, dp);
      }
      subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j / 4u, score, SCORE_PITCH);
      subgroupMatrixStore<row_major>(&dps, first * SCORE_PITCH + j / 4u, dp, SCORE_PITCH);
    }
    workgroupBarrier();
    for (var n = 0u; n < KEYS / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      let keys = vec4u(s0 + i * 4u) + vec4u(0u, 1u, 2u, 3u);
      let exponential = exp(min(scores[row * SCORE_PITCH + i] * scale - largest, vec4f()));
      let p = select(vec4f(), exponential * inverse, keys <= vec4u(t));
      dscores[row * DSCORE_PITCH + i] = vec4h(p * (dps[row * SCORE_PITCH + i] - less) * scale);
    }
    workgroupBarrier();
    for (var depth = 0u; depth < KEYS / UNIT_K; depth++) {
      let i = depth * UNIT_K;
      let left = subgroupMatrixLoad<Left, row_major>(&dscores, first * DSCORE_PITCH + i / 4u, DSCORE_PITCH);
      for (var j = 0u; j < WIDTH / UNIT_N; j++) {
        let keys = subgroupMatrixLoad<Right, row_major>(&tile, i * PITCH + j * UNIT_N / 4u, PITCH);
        dq[j] = subgroupMatrixMultiplyAccumulate(left, keys, dq[j]);
      }
    }
  }

  for (var strip = 0u; strip < (WIDTH + KEYS - 1u) / KEYS; strip++) {
    let c0 = strip * KEYS;
    for (var j = 0u; j < ACROSS; j++) {
      if (strip * ACROSS + j < WIDTH / UNIT_N) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j * UNIT_N / 4u, dq[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < KEYS / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      if (t < sizes.T && c0 + i * 4u < HS) {
        dqkv[q + t * (sizes.C / 4u * 3u) + c0 / 4u + i] = Element(scores[row * SCORE_PITCH + i]);
      }
    }
    workgroupBarrier();
  }
}
