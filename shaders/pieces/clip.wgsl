// What clipping leaves of a gradient.
// The kernel declares sizes with grad_clip, the largest norm of all gradients together; 0 leaves them as they are.

fn clipped(gradient: f32, norm: f32) -> f32 {
  if (sizes.grad_clip > 0.0 && norm > sizes.grad_clip) { return gradient * (sizes.grad_clip / norm); }
  return gradient;
}
