// What kernels share that norm and turn the heads of q and k: their sizes, and a head's rstd.
// with: head_pairs

struct Sizes {
  N: u32,      // rows
  T: u32,      // positions of a text
  NH: u32,     // heads of q
  NKV: u32,    // heads of k and of v
  HS: u32,     // channels of a head
  norm: u32,   // 1 or 0, and so the other two
  gain: u32,
  turn: u32,
  eps: f32,
}

// Of the head whose first channel is `head`, the same for all threads of its line. All lines ask together; of one whose
// head is not there it means nothing.
fn head_rstd(head: u32, there: bool, i: u32) -> f32 {
  var squares = 0.0;
  for (var j = i % X; there && j < half(); j += X) {
    let pair = pair_of(head, j);
    squares += dot(pair, pair);
  }
  return 1.0 / sqrt(line_sum(squares, i) / f32(sizes.HS) + sizes.eps);
}
