// What a token and its position put into the residual stream.
// The kernel declares wte, wpe, and sizes with C, V and positions, the rows of wpe: 0 where positions have none.

// An id outside 0..V-1 has no row in wte and adds nothing.
fn embedding(id: i32, t: u32, c: u32) -> f32 {
  var position = 0.0;
  if (sizes.positions > 0u) { position = f32(wpe[t % sizes.positions * sizes.C + c]); }
  if (id < 0 || u32(id) >= sizes.V) { return position; }
  return position + f32(wte[u32(id) * sizes.C + c]);
}
