// Gradients of both embeddings: a row of each sums the gradient at the positions that it served.
//
//   dwte[v,c] = sum over n with ids[n] = v of dout[n,c]
//   dwpe[t,c] = sum over b of dout[b,t,c]
//
// The host sorts the positions by token (order), so that no two workgroups add to the same row and the
// sum has one order: starts[v] .. starts[v+1]-1 are v's places in order. A token that does not occur gets a
// row of zeros. A workgroup a row and X channels: its first V rows are tokens, the next T positions. Of a
// row's terms its Y lines of threads take turns; their sums are added in a tree.
// reference: embeddingBackward()

override X: u32 = 32u;   // threads across channels
override Y: u32 = 8u;    // lines of them, a power of two

struct Sizes {
  B: u32,   // batch
  T: u32,   // positions
  C: u32,   // channels
  V: u32,   // vocabulary
}

@group(0) @binding(0) var<storage, read_write> dwte: array<f32>;   // (V, C)
@group(0) @binding(1) var<storage, read_write> dwpe: array<f32>;   // (T, C)
@group(0) @binding(2) var<storage, read> dout: array<f32>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> order: array<u32>;        // (B*T) positions, sorted by token
@group(0) @binding(4) var<storage, read> starts: array<u32>;       // (V + 1)
@group(0) @binding(5) var<uniform> sizes: Sizes;

var<workgroup> partial: array<f32, X * Y>;

@compute @workgroup_size(X, Y)
fn embedding_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let blocks = (sizes.C + X - 1u) / X;
  let index = group.x + group.y * groups.x;
  let row = index / blocks;
  let c = index % blocks * X + local.x;
  let token = row < sizes.V;
  let t = row - sizes.V;
  var sum = 0.0;
  if (c < sizes.C && token) {
    for (var k = starts[row] + local.y; k < starts[row + 1u]; k += Y) { sum += dout[order[k] * sizes.C + c]; }
  } else if (c < sizes.C && t < sizes.T) {
    for (var b = local.y; b < sizes.B; b += Y) { sum += dout[(b * sizes.T + t) * sizes.C + c]; }
  }
  partial[i] = sum;
  workgroupBarrier();
  for (var half = Y / 2u; half > 0u; half /= 2u) {
    if (local.y < half) { partial[i] += partial[i + half * X]; }
    workgroupBarrier();
  }
  if (local.y > 0u || c >= sizes.C) { return; }
  if (token) { dwte[row * sizes.C + c] = partial[i]; }
  else if (t < sizes.T) { dwpe[t * sizes.C + c] = partial[i]; }
}
