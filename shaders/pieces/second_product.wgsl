// Where the sums of a pair's second product go.
// The kernel declares Value, f32 or vec4f, the array out2, which holds as many numbers an element; and sizes with add.

// They have no end as the first product's have; but they may be made of chunks, one dispatch after the other.
fn store_second(sum: Value, at: u32) {
  if (sizes.add != 0u) { out2[at] += sum; } else { out2[at] = sum; }
}
