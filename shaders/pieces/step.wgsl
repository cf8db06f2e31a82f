// What goes with a step: what the host sets (src/model/step_data.ts), what is told of it, and the gradients' scale.

struct Step {
  slot: u32,          // of records
  lr: f32,            // learning rate
  correction1: f32,   // 1 / (1 - beta1^step)
  correction2: f32,   // 1 / (1 - beta2^step)
  loss_scale: f32,    // 1 / (positions that count)
  step: f32,          // from 1
  muon_lr: f32,       // learning rate of Muon's matrices
  micro: u32,         // which of its step's micro-batches it is, from 0
  done: vec2u,        // steps before it, their low and their high word
  row: u32,           // of the batch's first, where it is a part of the step's
}

struct Record {
  loss: f32,
  grad_norm: f32,
}

struct Scaler {
  scale: f32,         // on every gradient, a power of two
  good: f32,          // steps since it was changed
  skipped: f32,       // steps without an update, all of them
  correction1: f32,   // 1 / (1 - beta1^t), t the updates up to this step's
  correction2: f32,   // 1 / (1 - beta2^t)
}

// Whether x is a number, and not infinite.
fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }
