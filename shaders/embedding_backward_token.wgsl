// Gradient of the token embedding: each token's row sums the gradient at the positions that hold it.
//
//   dwte[v,c] = sum over n with ids[n] = v of dout[n,c]
//
// The host sorts the positions by token (order), so that no two workgroups add to the same row and the
// sum has one order: starts[v] .. starts[v+1]-1 are v's places in order. A workgroup a token, its threads
// across channels. A token that does not occur gets a row of zeros.
// reference: embeddingBackwardToken()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  C: u32,   // channels
  V: u32,   // vocabulary
}

@group(0) @binding(0) var<storage, read_write> dwte: array<f32>;   // (V, C)
@group(0) @binding(1) var<storage, read> dout: array<f32>;         // (N, C)
@group(0) @binding(2) var<storage, read> order: array<u32>;        // (N) positions, sorted by token
@group(0) @binding(3) var<storage, read> starts: array<u32>;       // (V + 1)
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_backward_token(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let v = group.x + group.y * groups.x;
  if (v >= sizes.V) { return; }
  let first = starts[v];
  let end = starts[v + 1u];
  for (var c = i; c < sizes.C; c += WG) {
    var sum = 0.0;
    for (var k = first; k < end; k++) { sum += dout[order[k] * sizes.C + c]; }
    dwte[v * sizes.C + c] = sum;
  }
}
