// Where the numbers of a product's tile go.
// The kernel declares out and out2 as arrays of numbers, with Out, what an element of out is.
// with: product_part, epilogue, second_product

alias Value = f32;

fn store(part: Part, second: bool, m: u32, n: u32, sum: f32) {
  if (m >= part.rows || n >= sizes.N) { return; }
  let at = m * sizes.N + n;
  if (second) { store_second(sum, part.plane + at); } else { out[at] = Out(finish(sum, at)); }
}

fn store_row(part: Part, second: bool, m: u32, n: u32, sums: vec4f) {
  store(part, second, m, n, sums.x);
  store(part, second, m, n + 1u, sums.y);
  store(part, second, m, n + 2u, sums.z);
  store(part, second, m, n + 3u, sums.w);
}
