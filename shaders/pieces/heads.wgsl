// Where what belongs to a head lies, in numbers or, for kernels that load four at a time, in vectors.
//   qkv, dqkv     (B, T, W)      at a position q of all heads, then k, then v
//   out, dout     (B, T, C)
//   stats, delta  (B, NH, T)

struct Sizes {
  T: u32,     // positions
  C: u32,     // channels of all heads of q, NH * HS
  W: u32,     // with those of k and v, (NH + 2 NKV) * HS
  NH: u32,    // heads of q
  NKV: u32,   // heads of k and of v, each for as many of q
  HS: u32,    // channels of a head
}

// The first channel of a head of q, and of its k and v, at the first position.
struct Places {
  q: u32,      // of qkv and dqkv
  k: u32,
  v: u32,
  out: u32,    // of out and dout
  row: u32,    // of stats and delta: the first position's
}

fn places_of(sequence: u32, head: u32) -> Places {
  let first = sequence * sizes.T * qkv_line();
  let k = first + sizes.C + head / sharers() * sizes.HS;
  let out = sequence * sizes.T * out_line() + head * sizes.HS;
  return Places(
    first + head * sizes.HS, k, k + sizes.NKV * sizes.HS, out, (sequence * sizes.NH + head) * sizes.T,
  );
}

fn vectors_of(sequence: u32, head: u32) -> Places {
  let places = places_of(sequence, head);
  return Places(places.q / 4u, places.k / 4u, places.v / 4u, places.out / 4u, places.row);
}

// Numbers from position to position.
fn qkv_line() -> u32 { return sizes.W; }
fn out_line() -> u32 { return sizes.C; }

// Heads of q that share one of k and v: those from sharers() * kv_head on.
fn sharers() -> u32 { return sizes.NH / sizes.NKV; }
