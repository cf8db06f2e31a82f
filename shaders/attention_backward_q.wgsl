// Causal multi-head attention backward, the queries' half.
//
//   delta[t]    = dout[t] . out[t]
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dq[t]       = sum over s <= t of dscore[t,s] * k[s]
//
// Writes the q part of dqkv, and delta for attention_backward_kv. A workgroup a query (t, head, batch), in
// chunks of WG keys: a thread a key for dscore, then the threads across channels for the sum.
// with: heads, reductions
// reference: attentionBackwardQ()

override ROOM: u32;        // channels that there is room for, at least those of a head
override WG: u32 = 64u;   // threads in a workgroup, a power of two

// What out, qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = f32;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read_write> delta: array<f32>;      // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> out: array<Element>;          // (B, T, C)
@group(0) @binding(4) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(6) var<uniform> sizes: Sizes;

var<workgroup> dscore: array<f32, WG>;   // of the chunk's keys
var<workgroup> q: array<f32, ROOM>;        // the query, divided by sqrt(HS)
var<workgroup> dq: array<f32, ROOM>;       // the sum so far
var<workgroup> dout_t: array<f32, ROOM>;   // the query's row of dout

@compute @workgroup_size(WG)
fn attention_backward_q(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let t = group.x;
  let at = places_of(group.z, group.y);
  let q_t = at.q + t * qkv_line();
  let o = at.out + t * out_line();
  var dot = 0.0;
  for (var c = i; c < sizes.HS; c += WG) {
    q[c] = f32(qkv[q_t + c]) / sqrt(f32(sizes.HS));
    dq[c] = 0.0;
    dout_t[c] = f32(dout[o + c]);
    dot += f32(dout[o + c]) * f32(out[o + c]);
  }
  let delta_t = reduce_sum(dot, i);   // its barriers also publish q, dq and dout_t
  let softmax = stats[at.row + t];

  for (var first = 0u; first <= t; first += WG) {
    let s = first + i;
    if (s <= t) {
      let k = at.k + s * qkv_line();
      let v = at.v + s * qkv_line();
      var score = 0.0;
      var dp = 0.0;
      for (var c = 0u; c < sizes.HS; c++) {
        score += q[c] * f32(qkv[k + c]);
        dp += dout_t[c] * f32(qkv[v + c]);
      }
      dscore[i] = exp(score - softmax.x) * softmax.y * (dp - delta_t) / sqrt(f32(sizes.HS));
    }
    workgroupBarrier();
    let keys = min(WG, t - first + 1u);
    for (var c = i; c < sizes.HS; c += WG) {
      var value = dq[c];
      for (var j = 0u; j < keys; j++) {
        value += dscore[j] * f32(qkv[at.k + (first + j) * qkv_line() + c]);
      }
      dq[c] = value;
    }
    workgroupBarrier();   // dscore is read to the end before the next chunk overwrites it
  }
  for (var c = i; c < sizes.HS; c += WG) { dqkv[q_t + c] = Element(dq[c]); }
  if (i == 0u) { delta[at.row + t] = delta_t; }
}
