// Dropout: leaves out elements that are a function of (seed, step, tensor, element), see src/model/dropout.ts.
//
//   out[i] = kept(inp[i])             with residual: inp[i] + kept(out[i])
//   kept(x) = 0 if philox((element / 4, 1 + tensor, step), seed)[element mod 4] < least, or else x * scale
//
// The batch's element i is the step's element row * line + i. The same to a gradient is the backward pass. A thread
// takes what one call of the generator decides, up to 4 elements of the batch.
// with: philox, step
// reference: dropout(), dropoutResidual()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  size: u32,        // elements of the batch, B*T*C
  line: u32,        // of one of its rows, T*C
  seed_low: u32,    // the seed's words
  seed_high: u32,
  tensor: u32,
  least: u32,       // word of an element that is kept
  scale: f32,       // of those, 1 / (1 - dropout)
  residual: u32,    // 1 or 0
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (B, T, C)
@group(0) @binding(1) var<storage, read> inp: array<f32>;         // (B, T, C)
@group(0) @binding(2) var<uniform> step_data: Step;
@group(0) @binding(3) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn dropout(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let place = thread.x + thread.y * groups.x * WG;
  // The first element is row * line, which may be too large for a word: as a call's place and one of its four words.
  let rest = step_data.row % 4u * sizes.line;
  let first = step_data.row / 4u * sizes.line + rest / 4u;
  let counter = vec4u(first + place, 1u + sizes.tensor, step_data.done);
  let words = philox(counter, vec2u(sizes.seed_low, sizes.seed_high));
  for (var k = 0u; k < 4u; k++) {
    let i = place * 4u + k - rest % 4u;   // before the batch begins it wraps around, past its end
    if (i >= sizes.size) { continue; }
    let x = select(inp[i], out[i], sizes.residual != 0u);
    let kept = select(x * sizes.scale, 0.0, words[k] < sizes.least);
    out[i] = select(kept, inp[i] + kept, sizes.residual != 0u);
  }
}
