// Embedding forward: token plus position.
//
//   out[n,c] = wte[ids[n],c] + wpe[n mod T,c]
//
// An id outside 0..V-1 has no row in wte and adds nothing. One thread an element.
// reference: embeddingForward()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  N: u32,   // rows, B*T
  T: u32,   // positions
  C: u32,   // channels
  V: u32,   // vocabulary
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> ids: array<i32>;         // (N)
@group(0) @binding(2) var<storage, read> wte: array<f32>;         // (V, C)
@group(0) @binding(3) var<storage, read> wpe: array<f32>;         // (T, C)
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.N * sizes.C) { return; }
  let n = i / sizes.C;
  let c = i % sizes.C;
  let id = ids[n];
  var value = wpe[(n % sizes.T) * sizes.C + c];
  if (id >= 0 && u32(id) < sizes.V) { value += wte[u32(id) * sizes.C + c]; }
  out[i] = value;
}
