// Sizes of the products whose matrices lie in storage without gaps.

struct Sizes {
  M: u32,        // rows of the first product
  N: u32,        // columns
  K: u32,        // length of its sums
  second: u32,   // workgroups of the second product, which come first: their sums are longer
  splits: u32,   // parts of the second product's sums
  plane: u32,    // elements of out2 from part to part
  add: u32,      // 1 where the second product is added to what stands there, or 0
  before: u32,   // workgroups of the grid that other dispatches make
}
