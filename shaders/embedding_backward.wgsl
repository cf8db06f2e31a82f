// Gradients of the embeddings, of tokens and, if they are learned, of positions: a row of each sums the gradient at
// the places that it served.
//
//   dwte[v,c] = sum over n with ids[n] = v of dout[n,c]
//   dwpe[t,c] = sum over b of dout[b,t,c]
//
// The host sorts the positions by token (order), so that no two workgroups add to the same row and the
// sum has one order: starts[v] .. starts[v+1]-1 are v's places in order. A token that does not occur gets a
// row of zeros. If accumulate, dwte's sums are added to what stands there, as the head's share does where it is the
// embedding's weight. A workgroup a row and X channels: the first V rows are tokens, the next T positions. Of a
// row's terms its Y lines of threads take turns; their sums are added in a tree.
// with: lines
// reference: embeddingBackward()

override X: u32 = 32u;   // threads across channels
override Y: u32 = 8u;    // lines of them, a power of two

struct Sizes {
  B: u32,            // batch
  C: u32,            // channels
  V: u32,            // vocabulary
  positions: u32,    // T, or 0 where dwpe is nothing
  accumulate: u32,   // 1 or 0
}

@group(0) @binding(0) var<storage, read_write> dwte: array<f32>;   // (V, C)
@group(0) @binding(1) var<storage, read_write> dwpe: array<f32>;   // (positions, C)
@group(0) @binding(2) var<storage, read> dout: array<f32>;         // (B, T, C)
@group(0) @binding(3) var<storage, read> order: array<u32>;        // (B*T) positions, sorted by token
@group(0) @binding(4) var<storage, read> starts: array<u32>;       // (V + 1)
@group(0) @binding(5) var<uniform> sizes: Sizes;

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
  if (token && starts[row] == starts[row + 1u]) {   // as most are of a large vocabulary: no sum, and no barriers
    if (sizes.accumulate == 0u && local.y == 0u && c < sizes.C) { dwte[row * sizes.C + c] = 0.0; }
    return;
  }
  var sum = 0.0;
  if (c < sizes.C && token) {
    for (var k = starts[row] + local.y; k < starts[row + 1u]; k += Y) { sum += dout[order[k] * sizes.C + c]; }
  } else if (c < sizes.C && t < sizes.positions) {
    for (var b = local.y; b < sizes.B; b += Y) { sum += dout[(b * sizes.positions + t) * sizes.C + c]; }
  }
  let total = sum_lines(sum, local.y, i);
  if (local.y > 0u || c >= sizes.C) { return; }
  if (!token) {
    if (t < sizes.positions) { dwpe[t * sizes.C + c] = total; }
  } else if (sizes.accumulate != 0u) {
    dwte[row * sizes.C + c] += total;
  } else {
    dwte[row * sizes.C + c] = total;
  }
}
