// Where what belongs to a head lies, in numbers or, for kernels that load four at a time, in vectors.
//   qkv, dqkv     (B, T, 3C)     at a position q of all heads, then k, then v
//   out, dout     (B, T, C)
//   stats, delta  (B, NH, T)

struct Sizes {
  T: u32,    // positions
  C: u32,    // channels
  NH: u32,   // heads
  HS: u32,   // channels of a head, C / NH
}

// The head's first channel at the first position.
struct Places {
  q: u32,      // of qkv and dqkv
  k: u32,
  v: u32,
  out: u32,    // of out and dout
  row: u32,    // of stats and delta: the first position's
}

fn places_of(sequence: u32, head: u32) -> Places {
  let q = sequence * sizes.T * qkv_line() + head * sizes.HS;
  let out = sequence * sizes.T * out_line() + head * sizes.HS;
  return Places(q, q + sizes.C, q + 2u * sizes.C, out, (sequence * sizes.NH + head) * sizes.T);
}

fn vectors_of(sequence: u32, head: u32) -> Places {
  let places = places_of(sequence, head);
  return Places(places.q / 4u, places.k / 4u, places.v / 4u, places.out / 4u, places.row);
}

// Numbers from position to position.
fn qkv_line() -> u32 { return 3u * sizes.C; }
fn out_line() -> u32 { return sizes.C; }
