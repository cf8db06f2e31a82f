// What a step of Newton and Schulz multiplies a matrix X by, from a = X Xᵀ and its square; in place of a.
//
//   a[i,j] = 3.4445 * [i = j] - 4.7750 * a[i,j] + 2.0315 * square[i,j]
//
// The product with X then is 3.4445 X - 4.7750 X Xᵀ X + 2.0315 (X Xᵀ)² X: singular values between 0 and 1 go towards 1.
// One thread an element. Source: Jordan et al., Muon, 2024.
// reference: muonPolynomial()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
  n: u32,   // rows and columns
}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;      // (n, n)
@group(0) @binding(1) var<storage, read> square: array<f32>;       // (n, n)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn muon_polynomial(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.n * sizes.n) { return; }
  let diagonal = select(0.0, 3.4445, i / sizes.n == i % sizes.n);
  a[i] = diagonal - 4.7750 * a[i] + 2.0315 * square[i];
}
