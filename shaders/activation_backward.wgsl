// Gradient of the activation between the MLP's products, from its input.
//
//   gelu:    dpre[n,h]  = dact[n,h] * gelu'(pre[n,h]), and so of relu and its square
//   swiglu:  dgate[n,h] = dact[n,h] * up[n,h] * silu'(gate[n,h])
//            dup[n,h]   = dact[n,h] * silu(gate[n,h]), where a row of dpre is both, as a row of pre is gate and up
//
// One thread an element of dact.
// with: activation
// reference: activationBackward()

override WG: u32 = 64u;   // threads in a workgroup

// What the three hold: numbers in f32, or in f16; all arithmetic is f32.
alias Value = f32;   // given

struct Sizes {
  N: u32,   // rows, B*T
  H: u32,   // channels of dact
}

@group(0) @binding(0) var<storage, read_write> dpre: array<Value>;   // (N, H), of swiglu (N, 2H)
@group(0) @binding(1) var<storage, read> dact: array<Value>;         // (N, H)
@group(0) @binding(2) var<storage, read> pre: array<Value>;          // as dpre
@group(0) @binding(3) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn activation_backward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.N * sizes.H) { return; }
  let d = f32(dact[i]);
  if (ACTIVATION == SWIGLU) {
    let gate = i + i / sizes.H * sizes.H;
    let up = gate + sizes.H;
    dpre[gate] = Value(d * f32(pre[up]) * silu_slope(f32(pre[gate])));
    dpre[up] = Value(d * silu(f32(pre[gate])));
  } else {
    dpre[i] = Value(d * activation_slope(f32(pre[i])));
  }
}
