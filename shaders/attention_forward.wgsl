// Causal multi-head attention forward, with the softmax made in one pass over the keys.
//
//   score[t,s] = q[t] . k[s] / sqrt(HS)        for s <= t
//   out[t]     = sum_s softmax(score[t])[s] * v[s]
//
// qkv holds q, k and v of all heads side by side. A workgroup a query (t, head, batch). It walks over the
// keys in chunks of WG: a thread a key for the scores, then the threads across channels for the sum of the
// values, rescaled whenever a larger score turns up. Of the softmax only stats is kept: each row's largest
// score and 1 / sum of exponentials, from which the backward pass makes it anew.
// with: heads, reductions
// reference: attentionForward()

override ROOM: u32;        // channels that there is room for, at least those of a head
override WG: u32 = 64u;   // threads in a workgroup, a power of two

// What out and qkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = f32;   // given

@group(0) @binding(0) var<storage, read_write> out: array<Element>;   // (B, T, C)
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;   // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(2) var<storage, read> qkv: array<Element>;         // (B, T, W)
@group(0) @binding(3) var<uniform> sizes: Sizes;

var<workgroup> p: array<f32, WG>;     // the chunk's exponentials
var<workgroup> q: array<f32, ROOM>;     // the query, divided by sqrt(HS)
var<workgroup> sum_v: array<f32, ROOM>; // the values so far, weighted by exp(score - largest)

@compute @workgroup_size(WG)
fn attention_forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let t = group.x;
  let at = places_of(group.z, group.y);
  for (var c = i; c < sizes.HS; c += WG) {
    q[c] = f32(qkv[at.q + t * qkv_line() + c]) / sqrt(f32(sizes.HS));
    sum_v[c] = 0.0;
  }
  workgroupBarrier();

  var largest = -3.4e38;
  var sum = 0.0;
  for (var first = 0u; first <= t; first += WG) {
    let s = first + i;
    var score = -3.4e38;
    if (s <= t) {
      let k = at.k + s * qkv_line();
      score = 0.0;
      for (var c = 0u; c < sizes.HS; c++) { score += q[c] * f32(qkv[k + c]); }
    }
    let before = largest;
    largest = max(before, reduce_max(score, i));
    let e = select(0.0, exp(score - largest), s <= t);
    p[i] = e;
    let rescale = exp(before - largest);
    sum = sum * rescale + reduce_sum(e, i);   // its barriers also publish p
    let keys = min(WG, t - first + 1u);
    for (var c = i; c < sizes.HS; c += WG) {
      var value = sum_v[c] * rescale;
      for (var j = 0u; j < keys; j++) {
        value += p[j] * f32(qkv[at.v + (first + j) * qkv_line() + c]);
      }
      sum_v[c] = value;
    }
    workgroupBarrier();   // p is read to the end before the next chunk overwrites it
  }
  for (var c = i; c < sizes.HS; c += WG) { out[at.out + t * out_line() + c] = Element(sum_v[c] / sum); }
  if (i == 0u) { stats[at.row + t] = vec2f(largest, 1.0 / sum); }
}
