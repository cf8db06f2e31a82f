// RMSNorm's factor for a row.
// The kernel declares WG, its threads, and sizes with C and eps.
// with: reductions

// 1 / sqrt(mean of squares + eps), out of the squares that each thread has summed.
fn rstd_of(squares: f32, i: u32) -> f32 { return 1.0 / sqrt(reduce_sum(squares, i) / f32(sizes.C) + sizes.eps); }
