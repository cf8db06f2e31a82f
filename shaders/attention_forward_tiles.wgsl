// Causal multi-head attention forward in tiles, with the softmax made in one pass over the keys.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// A workgroup of 8 x 8 threads (y, x) serves 64 queries of a head and 64 of their channels, the longest
// rows first, and walks over the keys 32 at a time. Both products are made of two tiles in workgroup
// memory: q (in chunks of DEPTH vectors of channels) and k give the scores, their exponentials p and v
// the outputs. A thread has 8 rows, y + 8i, and of each the scores of keys x + 8j, or the channel
// vectors x and x + 8. stats keeps each row's largest score and 1 / sum of exponentials.
// with: attention_tiles
// reference: attentionForward()

// What out and qkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = vec4f;   // given

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (B, T, W)
@group(0) @binding(3) var<uniform> sizes: Sizes;

const TEAMS = 1u;   // its left: q, the threads' largest scores, p, their sums; its right: k, v
const LOWEST = -3.4e38;

// Four rows' scores, those of keys beyond the row's query hidden.
fn visible(p: mat4x4f, keys: vec4u, t: u32) -> mat4x4f {
  let none = vec4f(LOWEST);
  return mat4x4f(
    select(none, p[0], keys <= vec4u(t)), select(none, p[1], keys <= vec4u(t + 8u)),
    select(none, p[2], keys <= vec4u(t + 16u)), select(none, p[3], keys <= vec4u(t + 24u)),
  );
}

// Of four rows: each times a number, its exponentials, its largest number, its sum.
fn scaled(p: mat4x4f, by: vec4f) -> mat4x4f {
  return mat4x4f(p[0] * by.x, p[1] * by.y, p[2] * by.z, p[3] * by.w);
}

fn all_scaled(rows: Rows, by0: vec4f, by1: vec4f) -> Rows {
  return Rows(scaled(rows.near0, by0), scaled(rows.near1, by1), scaled(rows.far0, by0), scaled(rows.far1, by1));
}

fn exponentials(p: mat4x4f, largest: vec4f) -> mat4x4f {
  return mat4x4f(
    exp(p[0] - largest.x), exp(p[1] - largest.y), exp(p[2] - largest.z), exp(p[3] - largest.w),
  );
}

fn largest_of(p: mat4x4f) -> vec4f {
  let columns = transpose(p);
  return max(max(columns[0], columns[1]), max(columns[2], columns[3]));
}

fn sum_of(p: mat4x4f) -> vec4f {
  let columns = transpose(p);
  return (columns[0] + columns[1]) + (columns[2] + columns[3]);
}

fn store(base: u32, t: u32, c: u32, value: vec4f) {
  if (t < sizes.T && c * 4u < sizes.HS) { out[base + t * (out_line() / 4u) + c] = Element(value); }
}

@compute @workgroup_size(64)
fn attention_forward_tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let share = share_of(thread, group.x);
  let at = vectors_of(group.y, share.head);
  let t0 = (groups.z - 1u - group.z) * 64u;
  let t = t0 + share.y;
  let scale = 1.0 / sqrt(f32(sizes.HS));

  var largest0 = vec4f(LOWEST);   // of the thread's rows 0 .. 3
  var largest1 = vec4f(LOWEST);   // of rows 4 .. 7
  var sum0 = vec4f();             // over the thread's own keys
  var sum1 = vec4f();
  var outs = Rows();
  for (var s0 = 0u; s0 < min(t0 + 64u, sizes.T); s0 += 32u) {
    var p0 = mat4x4f();
    var p1 = mat4x4f();
    for (var c = 0u; c < sizes.HS / 4u; c += DEPTH) {
      workgroupBarrier();   // both tiles are read to the end
      stage_left(0u, at.q, t0, c, thread);
      stage_right(0u, at.k, s0, c, thread);
      workgroupBarrier();
      add_chunk(&p0, &p1, 0u, share.x, share.y);
    }
    p0 = p0 * scale;
    p1 = p1 * scale;
    if (s0 + 31u > t0) {
      let keys = vec4u(s0 + share.x) + vec4u(0u, 8u, 16u, 24u);
      p0 = visible(p0, keys, t);
      p1 = visible(p1, keys, t + 32u);
    }
    workgroupBarrier();   // q and k are read to the end
    left[share.x][share.y][0] = largest_of(p0);
    left[share.x][share.y][1] = largest_of(p1);
    stage_block(0u, at.v, s0, share.block, thread);
    workgroupBarrier();
    var highest0 = largest0;
    var highest1 = largest1;
    for (var n = 0u; n < 8u; n++) {
      highest0 = max(highest0, left[n][share.y][0]);
      highest1 = max(highest1, left[n][share.y][1]);
    }
    let rescale0 = exp(largest0 - highest0);
    let rescale1 = exp(largest1 - highest1);
    largest0 = highest0;
    largest1 = highest1;
    p0 = exponentials(p0, largest0);
    p1 = exponentials(p1, largest1);
    sum0 = sum0 * rescale0 + sum_of(p0);
    sum1 = sum1 * rescale1 + sum_of(p1);
    outs = all_scaled(outs, rescale0, rescale1);
    workgroupBarrier();   // the largest scores are read to the end
    store_left(0u, share.y, share.x, p0);
    store_left(4u, share.y, share.x, p1);
    workgroupBarrier();
    add_block(&outs, 0u, share.x, share.y);
  }

  workgroupBarrier();   // p is read to the end
  left[share.x][share.y][0] = sum0;
  left[share.x][share.y][1] = sum1;
  workgroupBarrier();
  sum0 = vec4f();
  sum1 = vec4f();
  for (var n = 0u; n < 8u; n++) {
    sum0 += left[n][share.y][0];
    sum1 += left[n][share.y][1];
  }
  store_rows(at.out, t, share.block + share.x, all_scaled(outs, 1.0 / sum0, 1.0 / sum1));
  let own = t + 8u * share.x;   // the row whose stats the thread stores
  if (share.block == 0u && own < sizes.T) {
    let largest = select(largest1, largest0, share.x < 4u)[share.x % 4u];
    let sum = select(sum1, sum0, share.x < 4u)[share.x % 4u];
    stats[at.row + own] = vec2f(largest, 1.0 / sum);
  }
}
