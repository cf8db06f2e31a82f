// Embedding forward: token plus position, if positions are learned.
//
//   out[n,c] = wte[ids[n],c] + wpe[n mod T,c]
//
// One thread an element.
// with: embedding
// reference: embeddingForward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  N: u32,           // rows, B*T
  C: u32,           // channels
  V: u32,           // vocabulary
  positions: u32,   // T, or 0 where wpe is nothing
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> ids: array<i32>;         // (N)
@group(0) @binding(2) var<storage, read> wte: array<f32>;         // (V, C)
@group(0) @binding(3) var<storage, read> wpe: array<f32>;         // (positions, C)
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.N * sizes.C) { return; }
  let n = i / sizes.C;
  out[i] = embedding(ids[n], n, i % sizes.C);
}
