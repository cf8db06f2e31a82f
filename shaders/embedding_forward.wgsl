// Embedding forward: token plus position, if positions are learned.
//
//   out[n,c] = wte[ids[n],c] + wpe[n mod T,c]
//
// of tables that are too large to bind a piece at a time, whose sums these are. One thread an element.
// with: embedding
// reference: embeddingForward()

override WG: u32 = 64u;   // threads in a workgroup

// What the tables hold: numbers in f32, or in f16; all arithmetic is f32.
alias Wte = f32;   // given
alias Wpe = f32;   // given

struct Sizes {
  N: u32,           // rows, B*T
  C: u32,           // channels
  V: u32,           // rows of wte
  positions: u32,   // T, or 0 where wpe is nothing
  first: u32,       // token of wte's first row
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> ids: array<i32>;         // (N)
@group(0) @binding(2) var<storage, read> wte: array<Wte>;         // (V, C)
@group(0) @binding(3) var<storage, read> wpe: array<Wpe>;         // (positions, C)
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.N * sizes.C) { return; }
  let n = i / sizes.C;
  let value = embedding(ids[n] - i32(sizes.first), n, i % sizes.C);
  if (sizes.first > 0u) { out[i] += value; } else { out[i] = value; }
}
