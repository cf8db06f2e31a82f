// Of what each of a channel's Y threads has summed one number, its first thread's; pairs meet in a tree.
// The kernel declares X, its threads across channels, and Y, lines of them, a power of two.

var<workgroup> line_sums: array<f32, X * Y>;

fn sum_lines(value: f32, line: u32, i: u32) -> f32 {
  line_sums[i] = value;
  workgroupBarrier();
  for (var half = Y / 2u; half > 0u; half /= 2u) {
    if (line < half) { line_sums[i] += line_sums[i + half * X]; }
    workgroupBarrier();
  }
  return line_sums[i];
}
