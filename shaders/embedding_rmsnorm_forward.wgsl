// Embedding forward, token plus position, if positions are learned, and the RMSNorm that follows it.
//
//   e[c]     = wte[ids[n],c] + wpe[n mod T,c]
//   rstd[n]  = 1 / sqrt(mean_c e[c]^2 + eps)
//   out[n,c] = e[c] * rstd[n]
//
// A workgroup a row, its threads across channels.
// with: embedding, rstd
// reference: embeddingRmsnormForward()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

// What the tables hold: numbers in f32, or in f16; all arithmetic is f32.
alias Wte = f32;   // given
alias Wpe = f32;   // given

struct Sizes {
  N: u32,           // rows, B*T
  C: u32,           // channels
  V: u32,           // rows of wte
  positions: u32,   // T, or 0 where wpe is nothing
  first: u32,       // token of wte's first row
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;    // (N, C)
@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;   // (N)
@group(0) @binding(2) var<storage, read> ids: array<i32>;          // (N)
@group(0) @binding(3) var<storage, read> wte: array<Wte>;          // (V, C)
@group(0) @binding(4) var<storage, read> wpe: array<Wpe>;          // (positions, C)
@group(0) @binding(5) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_rmsnorm_forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  var sum = 0.0;
  for (var c = i; c < sizes.C; c += WG) {
    let e = embedding(ids[n], n, c);
    sum += e * e;
  }
  let scale = rstd_of(sum, i);
  for (var c = i; c < sizes.C; c += WG) { out[n * sizes.C + c] = embedding(ids[n], n, c) * scale; }
  if (i == 0u) { rstd[n] = scale; }
}
