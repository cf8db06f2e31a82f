// What the backward pass on matrix units needs besides.
// The kernel declares dout, an array of vectors.
// with: attention_matrix

var<workgroup> dps: array<vec4f, ROWS * SCORE_PITCH>;        // (row, position) gradients of p
var<workgroup> dscores: array<vec4h, ROWS * WEIGHT_PITCH>;   // (row, position)

// STEP positions of dout, as stage() does it.
fn stage_gradients(base: u32, first: u32, line: u32, thread: u32) {
  for (var n = 0u; n < TURNS; n++) {
    let it = brought(n, thread);
    let position = min(first + it.i, sizes.T - 1u) * (out_line() / 4u);
    put(line, it, vec4h(dout[base + position + it.inside]));
  }
}
