// Embedding forward: token plus position.
//
//   out[n,c] = wte[ids[n],c] + wpe[n mod T,c]
//
// An id outside 0..V-1 has no row in wte and adds nothing. One thread an element.
// reference: embeddingForward()

override N: u32;          // rows, B*T
override T: u32;          // positions
override C: u32;          // channels
override V: u32;          // vocabulary
override WG: u32 = 64u;   // threads in a workgroup

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> ids: array<i32>;         // (N)
@group(0) @binding(2) var<storage, read> wte: array<f32>;         // (V, C)
@group(0) @binding(3) var<storage, read> wpe: array<f32>;         // (T, C)

@compute @workgroup_size(WG)
fn embedding_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= N * C) { return; }
  let n = i / C;
  let c = i % C;
  let id = ids[n];
  var value = wpe[(n % T) * C + c];
  if (id >= 0 && u32(id) < V) { value += wte[u32(id) * C + c]; }
  out[i] = value;
}
