// Causal multi-head attention backward, the keys' and values' half.
//
//   p[t,s]      = exp(score[t,s] - largest[t]) / sum[t]
//   dscore[t,s] = p[t,s] * (dout[t] . v[s] - delta[t]) / sqrt(HS)
//   dk[s]       = sum over t >= s of dscore[t,s] * q[t]
//   dv[s]       = sum over t >= s of p[t,s] * dout[t]
// summed over the heads of q that share the key's, one after the other.
//
// Writes the k and v parts of dqkv; delta comes from attention_backward_q. A workgroup a key (s, head,
// batch), in chunks of WG queries: a thread a query for p and dscore, then the threads across channels.
// with: heads
// reference: attentionBackwardKv()

override ROOM: u32;        // channels that there is room for, at least those of a head
override WG: u32 = 64u;   // threads in a workgroup

// What qkv, dout and dqkv hold: numbers in f32, or in f16; all arithmetic is f32.
alias Element = f32;   // given

@group(0) @binding(0) var<storage, read_write> dqkv: array<Element>;   // (B, T, W)
@group(0) @binding(1) var<storage, read> delta: array<f32>;            // (B, NH, T)
@group(0) @binding(2) var<storage, read> dout: array<Element>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> qkv: array<Element>;          // (B, T, W)
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;          // (B, NH, T, 2) largest, 1 / sum
@group(0) @binding(5) var<uniform> sizes: Sizes;

var<workgroup> p: array<f32, WG>;        // of the chunk's queries
var<workgroup> dscore: array<f32, WG>;
var<workgroup> k: array<f32, ROOM>;        // the key, divided by sqrt(HS)
var<workgroup> v: array<f32, ROOM>;        // the value
var<workgroup> dk: array<f32, ROOM>;       // the sums so far
var<workgroup> dv: array<f32, ROOM>;

@compute @workgroup_size(WG)
fn attention_backward_kv(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let s = group.x;
  let kv_head = group.y;
  let own = places_of(group.z, kv_head * sharers());
  let k_s = own.k + s * qkv_line();
  let v_s = own.v + s * qkv_line();
  for (var c = i; c < sizes.HS; c += WG) {
    k[c] = f32(qkv[k_s + c]) / sqrt(f32(sizes.HS));
    v[c] = f32(qkv[v_s + c]);
    dk[c] = 0.0;
    dv[c] = 0.0;
  }
  workgroupBarrier();

  for (var n = 0u; n < sharers(); n++) {
    let at = places_of(group.z, kv_head * sharers() + n);
    for (var first = s; first < sizes.T; first += WG) {
      let t = first + i;
      if (t < sizes.T) {
        let q = at.q + t * qkv_line();
        let o = at.out + t * out_line();
        var score = 0.0;
        var dp = 0.0;
        for (var c = 0u; c < sizes.HS; c++) {
          score += f32(qkv[q + c]) * k[c];
          dp += f32(dout[o + c]) * v[c];
        }
        let softmax = stats[at.row + t];
        let weight = exp(score - softmax.x) * softmax.y;
        p[i] = weight;
        dscore[i] = weight * (dp - delta[at.row + t]) / sqrt(f32(sizes.HS));
      }
      workgroupBarrier();
      let queries = min(WG, sizes.T - first);
      for (var c = i; c < sizes.HS; c += WG) {
        var sum_k = dk[c];
        var sum_v = dv[c];
        for (var j = 0u; j < queries; j++) {
          sum_k += dscore[j] * f32(qkv[at.q + (first + j) * qkv_line() + c]);
          sum_v += p[j] * f32(dout[at.out + (first + j) * out_line() + c]);
        }
        dk[c] = sum_k;
        dv[c] = sum_v;
      }
      workgroupBarrier();   // p and dscore are read to the end before the next chunk overwrites them
    }
  }
  for (var c = i; c < sizes.HS; c += WG) {
    dqkv[k_s + c] = Element(dk[c]);
    dqkv[v_s + c] = Element(dv[c]);
  }
}
