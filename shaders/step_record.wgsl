// What a step has to tell: its mean loss and the norm of all gradients together, into the step's record.
//
//   records[slot].loss      = step.loss_scale * sum_n losses[n * stride]
//   records[slot].grad_norm = sqrt(sum_g partials[g])
//
// What becomes of the scale on the gradients, if growth > 0: it is halved, down to 1, where they were too large for
// a number, and that step is skipped; after `growth` steps without that it is doubled, up to `largest`.
//
// And Adam's bias corrections for the optimizer, 1 / (1 - beta^t) where t counts the steps that were not skipped:
// those of step_data where none ever was.
//
// One workgroup, its threads across losses and partials.
// with: reductions, step
// reference: stepRecord()

override WG: u32 = 256u;   // threads in the workgroup, a power of two

struct Sizes {
  N: u32,        // losses
  stride: u32,   // numbers from one to the next
  chunks: u32,   // partials
  growth: u32,   // steps
  largest: f32,  // scale, a power of two
  log_beta1: f32,
  log_beta2: f32,
}

@group(0) @binding(0) var<storage, read_write> records: array<Record>;   // (slots)
@group(0) @binding(1) var<storage, read_write> scaler: Scaler;
@group(0) @binding(2) var<storage, read> losses: array<f32>;             // (N, stride)
@group(0) @binding(3) var<storage, read> partials: array<f32>;           // (chunks)
@group(0) @binding(4) var<uniform> step_data: Step;
@group(0) @binding(5) var<uniform> sizes: Sizes;

// 1 / (1 - e^x) for x < 0; where e^x is near 1, by the series of 1 - e^x.
fn correction(x: f32) -> f32 {
  if (x < -0.5) { return 1.0 / (1.0 - exp(x)); }
  var series = 1.0;
  for (var n = 8.0; n > 1.0; n -= 1.0) { series = 1.0 + series * x / n; }
  return 1.0 / (-x * series);
}

@compute @workgroup_size(WG)
fn step_record(@builtin(local_invocation_index) i: u32) {
  var loss = 0.0;
  var squares = 0.0;
  for (var n = i; n < sizes.N; n += WG) { loss += losses[n * sizes.stride]; }
  for (var g = i; g < sizes.chunks; g += WG) { squares += partials[g]; }
  loss = reduce_sum(loss, i);
  squares = reduce_sum(squares, i);
  if (i > 0u) { return; }
  records[step_data.slot] = Record(loss * step_data.loss_scale, sqrt(squares));
  if (sizes.growth > 0u) {
    let finite = is_finite(squares);
    let good = scaler.good + 1.0;
    let grows = finite && good >= f32(sizes.growth);
    let scale = scaler.scale * select(select(1.0, 2.0, grows), 0.5, !finite);
    scaler.scale = clamp(scale, 1.0, sizes.largest);
    scaler.good = select(good, 0.0, grows || !finite);
    if (!finite) { scaler.skipped += 1.0; }
  }
  scaler.correction1 = step_data.correction1;
  scaler.correction2 = step_data.correction2;
  if (scaler.skipped == 0.0) { return; }
  let updates = max(step_data.step - scaler.skipped, 1.0);   // this one included
  scaler.correction1 = correction(updates * sizes.log_beta1);
  scaler.correction2 = correction(updates * sizes.log_beta2);
}
