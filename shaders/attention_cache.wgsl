// Attention of rows of texts that are continued, each to its own slot's keys and values up to its position, with the
// softmax made in one pass over them.
//
//   score[n,h,s] = q[n,h] . keys[slot[n],g,:,s] / sqrt(HS)                 for s <= position[n], g the head that h shares
//   out[n,h]     = sum_s softmax(score[n,h])[s] * values[slot[n],g,s]
//
// A workgroup a row and head. It walks over the keys in chunks of 4 WG, four a thread for the scores; then X threads are
// across channels, and the WG / X lines of them share the keys, for the sum of the values, rescaled whenever a larger score
// turns up.
// with: reductions, text_row
// reference: attentionCache()

override ROOM: u32;       // channels that there is room for, at least those of a head
override WG: u32 = 64u;   // threads in a workgroup, a power of two
override X: u32 = 32u;    // of them those across channels, a power of two

// What keys and values hold: numbers in f32, or in f16; all arithmetic is f32.
alias Cached = f32;   // given

struct Sizes {
  T: u32,     // positions of a slot
  NH: u32,    // heads of q
  NKV: u32,   // heads of k and of v
  HS: u32,    // channels of a head
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (N, NH, HS)
@group(0) @binding(1) var<storage, read> q: array<f32>;           // (N, NH, HS)
@group(0) @binding(2) var<storage, read> keys: array<Cached>;     // (slots, NKV, HS, T)
@group(0) @binding(3) var<storage, read> values: array<Cached>;   // (slots, NKV, T, HS)
@group(0) @binding(4) var<storage, read> rows: array<Row>;        // (N)
@group(0) @binding(5) var<uniform> sizes: Sizes;

var<workgroup> p: array<f32, WG * 4u>;    // the chunk's exponentials
var<workgroup> query: array<f32, ROOM>;   // divided by sqrt(HS)
var<workgroup> sums: array<f32, ROOM * (WG / X)>;   // each line's values so far, weighted by exp(score - largest)

const NONE = -3.4e38;

@compute @workgroup_size(WG)
fn attention_cache(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let h = group.x;
  let n = group.y;
  let t = rows[n].position;
  let head = rows[n].slot * sizes.NKV + h / (sizes.NH / sizes.NKV);
  let at = (n * sizes.NH + h) * sizes.HS;
  let from_key = head * sizes.HS * sizes.T;
  let from_value = head * sizes.T * sizes.HS;
  let line = i / X;
  for (var c = i; c < sizes.HS; c += WG) { query[c] = q[at + c] / sqrt(f32(sizes.HS)); }
  for (var c = i % X; c < sizes.HS; c += X) { sums[line * ROOM + c] = 0.0; }
  workgroupBarrier();

  var largest = NONE;
  var sum = 0.0;
  for (var first = 0u; first <= t; first += WG * 4u) {
    let s = vec4u(first + i) + vec4u(0u, WG, 2u * WG, 3u * WG);
    let place = vec4u(from_key) + min(s, vec4u(t));
    var score = vec4f();
    for (var c = 0u; c < sizes.HS; c++) {
      let k = place + c * sizes.T;
      score += query[c] * vec4f(f32(keys[k.x]), f32(keys[k.y]), f32(keys[k.z]), f32(keys[k.w]));
    }
    score = select(vec4f(NONE), score, s <= vec4u(t));
    let before = largest;
    largest = max(before, reduce_max(max(max(score.x, score.y), max(score.z, score.w)), i));
    let e = select(vec4f(), exp(score - largest), s <= vec4u(t));
    p[i] = e.x;
    p[i + WG] = e.y;
    p[i + 2u * WG] = e.z;
    p[i + 3u * WG] = e.w;
    let rescale = exp(before - largest);
    sum = sum * rescale + reduce_sum((e.x + e.y) + (e.z + e.w), i);   // its barriers also publish p
    let count = min(WG * 4u, t - first + 1u);
    for (var c = i % X; c < sizes.HS; c += X) {
      var value = sums[line * ROOM + c] * rescale;
      for (var j = line; j < count; j += WG / X) {
        value += p[j] * f32(values[from_value + (first + j) * sizes.HS + c]);
      }
      sums[line * ROOM + c] = value;
    }
    workgroupBarrier();   // p is read to the end before the next chunk overwrites it
  }
  for (var c = i; c < sizes.HS; c += WG) {
    var value = 0.0;
    for (var j = 0u; j < WG / X; j++) { value += sums[j * ROOM + c]; }
    out[at + c] = value / sum;
  }
}
