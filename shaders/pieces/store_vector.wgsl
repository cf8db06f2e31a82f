// Where the vectors of sums of a product's tile go.
// The kernel declares out and out2 as arrays of vectors, with Out, what an element of out is.
// with: product_part, epilogue, second_product

alias Value = vec4f;

fn store(part: Part, m: u32, n: u32, sum: vec4f) {
  if (m >= part.rows || n >= sizes.N) { return; }
  let at = (m * sizes.N + n) / 4u;
  if (part.second) { store_second(sum, part.plane / 4u + at); } else { out[at] = Out(finish(sum, at)); }
}
