// A matrix over its Frobenius norm, so that no singular value is above 1, in place.
//
//   x[i] /= sqrt(sum_p partials[p]) + 1e-7
//
// A workgroup a chunk, which sums all partials for itself.
// with: reductions
// reference: muonNormalize()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Sizes {
  size: u32,     // elements
  chunk: u32,    // elements a workgroup makes, and each of the partials is of
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;       // (size)
@group(0) @binding(1) var<storage, read> partials: array<f32>;      // (chunks)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn muon_normalize(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  var squares = 0.0;
  for (var p = i; p * sizes.chunk < sizes.size; p += WG) { squares += partials[p]; }
  let norm = sqrt(reduce_sum(squares, i)) + 1e-7;
  let first = (group.x + group.y * groups.x) * sizes.chunk;
  let end = min(first + sizes.chunk, sizes.size);
  for (var k = first + i; k < end; k += WG) { x[k] /= norm; }
}
