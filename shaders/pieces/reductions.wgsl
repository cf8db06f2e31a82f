// Of every thread's value one number, the same for all of them; pairs meet in a tree.
// The kernel declares WG, its threads, a power of two.

var<workgroup> partial: array<f32, WG>;

fn reduce_sum(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] += partial[i + half]; }
    workgroupBarrier();
  }
  return publish();
}

fn reduce_max(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { partial[i] = max(partial[i], partial[i + half]); }
    workgroupBarrier();
  }
  return publish();
}

// The tree's root, read by all before the next reduction overwrites it.
fn publish() -> f32 {
  let root = partial[0];
  workgroupBarrier();
  return root;
}
