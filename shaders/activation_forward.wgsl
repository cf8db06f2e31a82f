// The activation between the MLP's products, where its input is kept: of relus only beside adapters.
//
//   gelu:    act[n,h] = pre[n,h] * (1 + tanh(sqrt(2 / pi) * (pre[n,h] + 0.044715 * pre[n,h]^3))) / 2
//   relu:    act[n,h] = max(pre[n,h], 0), or its square
//   swiglu:  act[n,h] = silu(gate[n,h]) * up[n,h], where a row of pre is gate and up, one behind the other
//
// One thread an element of act.
// with: activation
// reference: activationForward()

override WG: u32 = 64u;   // threads in a workgroup

// What act and pre hold: numbers in f32, or in f16; all arithmetic is f32.
alias Value = f32;   // given

struct Sizes {
  N: u32,   // rows, B*T
  H: u32,   // channels of act
}

@group(0) @binding(0) var<storage, read_write> act: array<Value>;   // (N, H)
@group(0) @binding(1) var<storage, read> pre: array<Value>;         // (N, H), of swiglu (N, 2H)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn activation_forward(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  if (i >= sizes.N * sizes.H) { return; }
  if (ACTIVATION == SWIGLU) {
    let gate = i + i / sizes.H * sizes.H;
    act[i] = Value(silu(f32(pre[gate])) * f32(pre[gate + sizes.H]));
  } else {
    act[i] = Value(activation(f32(pre[i])));
  }
}
