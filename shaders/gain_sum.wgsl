// A gain's gradient, from the parts that it was made in.
//
//   dgain[c] = sum_p parts[p,c]
//
// A workgroup X channels. Of the parts its Y lines of threads take turns; their sums are added in a tree.
// with: lines
// reference: gainSum()

override X: u32 = 8u;    // threads across channels
override Y: u32 = 32u;   // lines of them, a power of two

struct Sizes {
  P: u32,   // parts
  C: u32,   // channels
}

@group(0) @binding(0) var<storage, read_write> dgain: array<f32>;   // (C)
@group(0) @binding(1) var<storage, read> parts: array<f32>;         // (P, C)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(X, Y)
fn gain_sum(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let c = (group.x + group.y * groups.x) * X + local.x;
  var sum = 0.0;
  if (c < sizes.C) {
    for (var p = local.y; p < sizes.P; p += Y) { sum += parts[p * sizes.C + c]; }
  }
  let total = sum_lines(sum, local.y, i);
  if (local.y == 0u && c < sizes.C) { dgain[c] = total; }
}
