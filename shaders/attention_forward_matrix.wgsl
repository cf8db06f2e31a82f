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
// with: attention_matrix
// reference: attentionForward()

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

// What out and qkv hold: numbers in f32, or in f16.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (B, T, W)
@group(0) @binding(3) var<uniform> sizes: Sizes;

const LOWEST = -3.4e38;
const SLACK = 8.0;   // exp(SLACK) is far from f16's largest number
// The tile holds q; then k and, from line STEP on, v.
var<workgroup> weights: array<vec4h, ROWS * WEIGHT_PITCH>;   // (query, key)
var<workgroup> outgrown: array<atomic<u32>, 4>;              // the first: whether a row has a new level

// Four scores of query t with keys from s on, those beyond it hidden.
fn visible(score: vec4f, s: u32, t: u32) -> vec4f {
  return select(vec4f(LOWEST), score, vec4u(s) + vec4u(0u, 1u, 2u, 3u) <= vec4u(t));
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
  let t0 = (groups.z - 1u - group.z) * ROWS;
  let t = t0 + row;
  let at = vectors_of(group.y, group.x);
  let scale = 1.0 / sqrt(f32(HS));

  if (thread == 0u) { atomicStore(&outgrown[0], 0u); }
  stage_rows(at.q, t0, thread);
  workgroupBarrier();
  var queries: array<Left, WIDTH / UNIT_K>;
  for (var i = 0u; i < WIDTH / UNIT_K; i++) { queries[i] = own_at(first, i); }
  var outs: array<Sums, WIDTH / UNIT_N>;
  for (var j = 0u; j < WIDTH / UNIT_N; j++) { outs[j] = Sums(); }   // no driver need do it
  var level = LOWEST;
  var largest = LOWEST;   // of the row's scores so far
  var sum = 0.0;          // of the lane's exponentials
  for (var s0 = 0u; s0 < min(t0 + ROWS, sizes.T); s0 += STEP) {
    workgroupBarrier();   // the tile is read to the end
    stage(at.k, s0, 0u, thread);
    stage(at.v, s0, STEP, thread);
    workgroupBarrier();
    for (var across = 0u; across < ACROSS; across++) {
      let j = across * UNIT_N;
      var products = Sums();   // a declaration without it is zero the first time only
      for (var i = 0u; i < WIDTH / UNIT_K; i++) {
        let keys = columns_at(j, i);
        products = subgroupMatrixMultiplyAccumulate(queries[i], keys, products);
      }
      subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j / 4u, products, SCORE_PITCH);
    }
    workgroupBarrier();
    var highest = vec4f(LOWEST);
    for (var i = 0u; i < STEP / 4u; i++) {   // every lane looks at the whole row, which costs less than to ask the others
      highest = max(highest, visible(scores[row * SCORE_PITCH + i] * scale, s0 + i * 4u, t));
    }
    largest = max(largest, max(max(highest.x, highest.y), max(highest.z, highest.w)));
    var rescale = 1.0;
    if (largest > level + SLACK) {
      rescale = exp(level - largest);
      level = largest;
      if (s0 > 0u) { atomicStore(&outgrown[0], 1u); }   // before that there are no outputs
    }
    sum *= rescale;
    for (var n = 0u; n < STEP / 4u / PARTS; n++) {
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
    for (var depth = 0u; depth < STEP / UNIT_K; depth++) {
      let i = depth * UNIT_K;
      let left = subgroupMatrixLoad<Left, row_major>(&weights, first * WEIGHT_PITCH + i / 4u, WEIGHT_PITCH);
      for (var j = 0u; j < WIDTH / UNIT_N; j++) {
        let values = rows_at(STEP + i, j);
        outs[j] = subgroupMatrixMultiplyAccumulate(left, values, outs[j]);
      }
    }
  }

  let inverse = 1.0 / sum_of(sum, row, part);
  let base = at.out + t * (out_line() / 4u);
  for (var strip = 0u; strip < (WIDTH + STEP - 1u) / STEP; strip++) {
    let c0 = strip * STEP;
    for (var j = 0u; j < ACROSS; j++) {
      if (strip * ACROSS + j < WIDTH / UNIT_N) {
        subgroupMatrixStore<row_major>(&scores, first * SCORE_PITCH + j * UNIT_N / 4u, outs[min(strip * ACROSS + j, WIDTH / UNIT_N - 1u)], SCORE_PITCH);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < STEP / 4u / PARTS; n++) {
      let i = n * PARTS + part;
      if (t < sizes.T && c0 + i * 4u < HS) {
        out[base + c0 / 4u + i] = Element(scores[row * SCORE_PITCH + i] * inverse);
      }
    }
    workgroupBarrier();
  }
  if (part == 0u && t < sizes.T) {
    stats[at.row + t] = vec2f(largest, exp(largest - level) * inverse);
  }
}
