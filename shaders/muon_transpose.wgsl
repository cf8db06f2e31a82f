// A matrix transposed, so that the product with it is one with a weight's transpose, as forward products are.
//
//   out[j,i] = inp[i,j]
//
// One thread an element of out.
// reference: muonTranspose()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  rows: u32,       // of inp
  columns: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (columns, rows)
@group(0) @binding(1) var<storage, read> inp: array<f32>;         // (rows, columns)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn muon_transpose(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.rows * sizes.columns) { return; }
  out[i] = inp[i % sizes.rows * sizes.columns + i / sizes.rows];
}
