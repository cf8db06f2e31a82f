// The logits' cap, softcap * tanh(x / softcap). WGSL's tanh may be off by 1e-5, and overflow.
// The kernel declares sizes with softcap.

fn capped(x: f32) -> f32 {
  let z = x / sizes.softcap;
  return sizes.softcap * select(tanh_far(z), tanh_near(z), abs(z) < 0.25);
}

// 1 - tanh^2, without a difference of numbers that are nearly alike.
fn cap_slope(x: f32) -> f32 {
  let e = exp(-2.0 * abs(x / sizes.softcap));
  return 4.0 * e / ((1.0 + e) * (1.0 + e));
}

fn tanh_far(z: f32) -> f32 {
  let e = exp(-2.0 * abs(z));
  return sign(z) * (1.0 - e) / (1.0 + e);
}

// By its series, up to z^9.
fn tanh_near(z: f32) -> f32 {
  let s = z * z;
  return z * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))));
}
