// Causal multi-head attention forward on matrix units (tensor cores): the same as attention_forward_tiles.wgsl,
// with q, k, v and the softmax's weights in f16, sums and exponentials in f32.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// A workgroup serves DOWN * UNIT_M queries of a head, UNIT_M a subgroup, the longest rows first, and walks over the
// keys 32 at a time. q and the outputs stay in matrices; k and v pass through workgroup memory, where lines are
// padded, so that those of a matrix do not meet in a bank. Single elements of a matrix cannot be reached: the
// scores go to workgroup memory and come back as weights, exp(score - level). A row's level is the largest of its
// scores when it was set. Where later ones outgrow it by more than SLACK, which is rare after the first keys, the
// row is given a new one, and all outputs take the way through memory to be scaled.
// reference: attentionForward()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const UNIT_M = 8u;    // given: rows of the device's matrices, left and result
const UNIT_N = 8u;    // given: columns, right and result
const UNIT_K = 8u;    // given: columns of the left, rows of the right
const HS = 64u;       // given: channels of a head, a multiple of 4
const DOWN = 4u;      // given: subgroups, of UNIT_M queries each; of 64 queries at most
const LANES = 8u;     // given: the subgroup's size

// What out and qkv hold: numbers in f32, or in f16.
alias Element = vec4f;   // given

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
}

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (B, T, 3C)
@group(0) @binding(3) var<uniform> sizes: Sizes;

const LOWEST = -3.4e38;
const SLACK = 8.0;   // exp(SLACK) is far from f16's largest number
const KEYS = 32u;
const QUERIES = DOWN * UNIT_M;
const PARTS = LANES / UNIT_M;   // lanes that share a row
const THREADS = LANES * DOWN;
const ACROSS = KEYS / UNIT_N;    // matrices
const UNIT = max(UNIT_N, UNIT_K);
const WIDTH = (HS + UNIT - 1u) / UNIT * UNIT;   // channels, with zeros from HS on
const PITCH = (WIDTH + 8u) / 4u;                // of a line, in vectors
const SCORE_PITCH = (KEYS + 4u) / 4u;
const WEIGHT_PITCH = (KEYS + 8u) / 4u;
// All of them take whole pieces of 16 bytes: a driver that packs them must not move one to where no matrix can be
// loaded from.
var<workgroup> tile: array<vec4h, 2u * KEYS * PITCH>;           // q; then k and, from line KEYS on, v
var<workgroup> scores: array<vec4f, QUERIES * SCORE_PITCH>;     // (query, key); outputs, KEYS channels at a time
var<workgroup> weights: array<vec4h, QUERIES * WEIGHT_PITCH>;   // (query, key)
var<workgroup> outgrown: array<atomic<u32>, 4>;                 // the first: whether a row has a new level

alias Left = subgroup_matrix_left<f16, UNIT_K, UNIT_M>;
alias Right = subgroup_matrix_right<f16, UNIT_N, UNIT_K>;
alias Sums = subgroup_matrix_result<f32, UNIT_N, UNIT_M>;

// KEYS positions from `first` on, past the end the last one, to lines of the tile; vector 0 of position 0 lies at `base`.
fn stage(base: u32, first: u32, line: u32, thread: u32) {
  for (var n = 0u; n < (KEYS * (WIDTH / 4u) + THREADS - 1u) / THREADS; n++) {
    let index = n * THREADS + thread;
    let i = index / (WIDTH / 4u);
    let c = index % (WIDTH / 4u);
    let position = min(first + i, sizes.T - 1u) * (sizes.C / 4u * 3u);
    let vector = vec4h(qkv[base + position + min(c, HS / 4u - 1u)]);
    if (i < KEYS) { tile[(line + i) * PITCH + c] = select(vec4h(), vector, c < HS / 4u); }
  }
}

// Four scores of query t with keys from s on, those beyond it hidden.
fn visible(score: vec4f, s: u32, t: u32) -> vec4f {
  return select(vec4f(LOWEST), score, vec4u(s) + vec4u(0u, 1u, 2u, 3u) <= vec4u(t));
}

// The largest, and the sum, of what the lanes of a row hold.
fn largest_of(held: f32) -> f32 {
  var largest = held;
  for (var mask = UNIT_M; mask < LANES; mask *= 2u) { largest = max(largest, subgroupShuffleXor(largest, mask)); }
  return largest;
}

fn sum_of(held: f32) -> f32 {
  var sum = held;
  for (var mask = UNIT_M; mask < LANES; mask *= 2u) { sum += subgroupShuffleXor(sum, mask); }
  return sum;
}

@compute @workgroup_size(THREADS)
fn attention_forward_matrix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let part = lane / UNIT_M;               // of the row that the lane shares
  let first = subgroup * UNIT_M;          // of the subgroup's rows
  let row = first + lane % UNIT_M;
  let t0 = (groups.z - 1u - group.z) * QUERIES;
  let t = t0 + row;
  let q = (group.y * sizes.T * 3u * sizes.C + group.x * HS) / 4u;
  let k = q + sizes.C / 4u;
  let v = k + sizes.C / 4u;
  let scale = 1.0 / sqrt(f32(HS));

  if (thread == 0u) { atomicStore(&outgrown[0], 0u); }
  for (var n = 0u; n < (QUERIES + KEYS - 1u) / KEYS; n++) { stage(q, t0 + n * KEYS, n * KEYS, thread); }
  workgroupBarrier();
  var queries: array<Left, WIDTH / UNIT_K>;
  for (var i = 0u; i < WIDTH / UNIT_K; i++) {
    queries[i] = subgroupMatrixLoad<Left, row_major>(&tile, first * PITCH + i * UNIT_K / 4u, PITCH);
  }
  var outs: array<Sums, WIDTH / UNIT_N>;
  for (var j = 0u; j < WIDTH / UNIT_N; j++) { outs[j] = Sums(); }   // no driver need do it
  var level = LOWEST;
  var largest = LOWEST;   // of the row's scores so far
  var sum = 0.0;          // of the lane's exponentials
  for (var s0 = 0u; s0 < min(t0 + QUERIES, sizes.T); s0 += KEYS) {
    workgroupBarrier();   // the tile is read to the end
    stage(k, s0, 0u, thread);
    stage(v, s0, KEYS, thread);
    workgroupBarrier();
    for (var across = 0u; across < ACROSS; across++) {
      let j = across * UNIT_N;
      var products = Sums();   // a declaration without it is zero the first time only
      for (var i = 0u; i < WIDTH / UNIT_K; i++) {
        let keys = subgroupMatrixLoad<Right, col_major>(&tile, j * PITCH + i * UNIT_K / 4u, PITCH);
        products = subgroupMatrixMultiplyAccumulate(queries[i], keys, products);
      }
      subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j / 4u, products, SCORE_PITCH);
    }
    workgroupBarrier();
    var highest = vec4f(LOWEST);
    for (var n = 0u; n < KEYS / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      highest = max(highest, visible(scores[row * SCORE_PITCH + i] * scale, s0 + i * 4u, t));
    }
    largest = max(largest, largest_of(max(max(highest.x, highest.y), max(highest.z, highest.w))));
    var rescale = 1.0;
    if (largest > level + SLACK) {
      rescale = exp(level - largest);
      level = largest;
      if (s0 > 0u) { atomicStore(&outgrown[0], 1u); }   // before that there are no outputs
    }
    sum *= rescale;
    for (var n = 0u; n < KEYS / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      let weight = exp(visible(scores[row * SCORE_PITCH + i] * scale, s0 + i * 4u, t) - level);
      weights[row * WEIGHT_PITCH + i] = vec4h(weight);
      sum += (weight.x + weight.y) + (weight.z + weight.w);
    }
    if (workgroupUniformLoad(&outgrown[0]) != 0u) {
      for (var j = 0u; j < WIDTH / UNIT_N; j++) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH, outs[j], SCORE_PITCH);
        workgroupBarrier();
        for (var i = part; i < UNIT_N / 4u; i += PARTS) { scores[row * SCORE_PITCH + i] *= rescale; }
        workgroupBarrier();
        outs[j] = subgroupMatrixLoad<Sums, row_major>(&scores, first * SCORE_PITCH, SCORE_PITCH);
        workgroupBarrier();
      }
      atomicStore(&outgrown[0], 0u);
    }
    for (var depth = 0u; depth < KEYS / UNIT_K; depth++) {
      let i = depth * UNIT_K;
      let left = subgroupMatrixLoad<Left, row_major>(&weights, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
      for (var j = 0u; j < WIDTH / UNIT_N; j++) {
        let values = subgroupMatrixLoad<Right, row_major>(&tile, (KEYS + i) * PITCH + j * UNIT_N / 4u, PITCH);
        outs[j] = subgroupMatrixMultiplyAccumulate(left, values, outs[j]);
      }
    }
  }

  let inverse = 1.0 / sum_of(sum);
  let base = ((group.y * sizes.T + t) * sizes.C + group.x * HS) / 4u;
  for (var strip = 0u; strip < (WIDTH + KEYS - 1u) / KEYS; strip++) {
    let c0 = strip * KEYS;
    for (var j = 0u; j < ACROSS; j++) {
      if (strip * ACROSS + j < WIDTH / UNIT_N) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j * UNIT_N / 4u, outs[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < KEYS / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      if (t < sizes.T && c0 + i * 4u < HS) {
        out[base + c0 / 4u + i] = Element(scores[row * SCORE_PITCH + i] * inverse);
      }
    }
    workgroupBarrier();
  }
  if (part == 0u && t < sizes.T) {
    stats[(group.y * sizes.NH + group.x) * sizes.T + t] = vec2f(largest, exp(largest - level) * inverse);
  }
}
