// Activations whose input is kept for the backward pass.

override ACTIVATION: u32 = 0u;   // one of these, as src/model/row_ops.ts numbers them
const GELU = 0u;
const SWIGLU = 1u;
const RELU = 2u;
const RELU_SQUARED = 3u;

const ROOT = 0.7978845608028654;   // sqrt(2 / pi)
const CUBE = 0.044715;

// No exponential of it is too large for a number.
fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(min(-x, 87.0))); }

// gelu(x) = x * gelu_gate(x): (1 + tanh(u)) / 2 is sigmoid(2u). Beyond 10 it is 0 or 1, and a cube may be too large.
fn gelu_gate(x: f32) -> f32 {
  let near = clamp(x, -10.0, 10.0);
  return sigmoid(2.0 * ROOT * (near + CUBE * near * near * near));
}

fn gelu_slope(x: f32) -> f32 {
  let near = clamp(x, -10.0, 10.0);
  let gate = gelu_gate(x);
  return gate + 2.0 * ROOT * near * gate * (1.0 - gate) * (1.0 + 3.0 * CUBE * near * near);
}

fn silu(x: f32) -> f32 { return x * sigmoid(x); }

fn silu_slope(x: f32) -> f32 {
  let gate = sigmoid(x);
  return gate * (1.0 + x * (1.0 - gate));
}

// Of those that gate nothing.
fn activation(x: f32) -> f32 {
  if (ACTIVATION == RELU) { return max(x, 0.0); }
  if (ACTIVATION == RELU_SQUARED) { return max(x, 0.0) * max(x, 0.0); }
  return x * gelu_gate(x);
}

fn activation_slope(x: f32) -> f32 {
  if (ACTIVATION == RELU) { return select(0.0, 1.0, x > 0.0); }
  if (ACTIVATION == RELU_SQUARED) { return 2.0 * max(x, 0.0); }
  return gelu_slope(x);
}
