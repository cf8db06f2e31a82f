// The last part of a Muon step on a matrix: what was made orthogonal goes into the parameters, in place.
//
//   params[i] -= muon_lr * (sqrt(max(1, rows / columns)) * x[i] + weight_decay * params[i])
//
// x is transposed if rows > columns. Nothing changes where the gradients' norm is not finite. With HALF the new
// parameters go into weights too, for products in f16. Matrices of one buffer lie one behind the other: params and
// weights are read from `first` on. One thread an element.
// with: step
// reference: muonUpdate()

override WG: u32 = 64u;         // threads in a workgroup
override HALF: bool = false;    // whether weights are written

alias Weight = f32;   // given: f16 with HALF

struct Sizes {
  rows: u32,
  columns: u32,
  first: u32,          // element of params and weights
  weight_decay: f32,
}

@group(0) @binding(0) var<storage, read_write> params: array<f32>;       // (first + rows * columns)
@group(0) @binding(1) var<storage, read_write> weights: array<Weight>;   // as params, or where it is not written, any
@group(0) @binding(2) var<storage, read> x: array<f32>;                  // (short side, long side)
@group(0) @binding(3) var<storage, read> records: array<Record>;         // (slots)
@group(0) @binding(4) var<uniform> step_data: Step;
@group(0) @binding(5) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn muon_update(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  let rows = sizes.rows;
  let columns = sizes.columns;
  if (i >= rows * columns) { return; }
  let norm = records[step_data.slot].grad_norm;
  if (!is_finite(norm)) { return; }
  var place = i;
  if (rows > columns) { place = i % columns * rows + i / columns; }
  let update = sqrt(max(1.0, f32(rows) / f32(columns))) * x[place];
  let at = sizes.first + i;
  let param = params[at] - step_data.muon_lr * (update + sizes.weight_decay * params[at]);
  params[at] = param;
  if (HALF) { weights[at] = Weight(param); }
}
