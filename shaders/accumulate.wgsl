// Adds what a micro-batch has made to what those before it in the step have: gradients, or losses.
//
//   sums[i] = sum_p parts[p,i] + (sums[i], but in a step's first micro-batch)
//
// One thread an element.
// with: step
// reference: accumulate()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  size: u32,     // elements of a plane
  planes: u32,
}

@group(0) @binding(0) var<storage, read_write> sums: array<f32>;   // (size)
@group(0) @binding(1) var<storage, read> parts: array<f32>;        // (planes, size)
@group(0) @binding(2) var<uniform> step_data: Step;
@group(0) @binding(3) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn accumulate(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.size) { return; }
  var sum = parts[i];
  for (var p = 1u; p < sizes.planes; p++) { sum += parts[p * sizes.size + i]; }
  if (step_data.micro > 0u) { sum += sums[i]; }
  sums[i] = sum;
}
