// What a workgroup of a product makes: a tile of the first product or, in a PAIR, of the second, from a part of its sums.
// The kernel declares TILE_M and TILE_N, the tile's rows and columns, and sizes with M, N, K, second, splits, plane
// and before.

override PAIR: bool = false;   // whether the second product is made too

struct Part {
  second: bool,
  rows: u32,       // of the product
  m0: u32,         // the tile's first row
  n0: u32,         // and column
  begin: u32,      // of the sums
  end: u32,
  plane: u32,      // where the part begins in the output
}

fn part_of(workgroup: u32) -> Part {
  let index = sizes.before + workgroup;
  let across = (sizes.N + TILE_N - 1u) / TILE_N;
  if (!PAIR || index >= sizes.second) {
    let place = index - sizes.second;
    return Part(false, sizes.M, place / across * TILE_M, place % across * TILE_N, 0u, sizes.K, 0u);
  }
  let tiles = across * ((sizes.K + TILE_M - 1u) / TILE_M);
  let split = index / tiles;
  let tile = index % tiles;
  let length = (sizes.M + sizes.splits - 1u) / sizes.splits;
  let end = min((split + 1u) * length, sizes.M);
  return Part(true, sizes.K, tile / across * TILE_M, tile % across * TILE_N, split * length, end, split * sizes.plane);
}
