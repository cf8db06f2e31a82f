// The Bs of a linear layer's adapters as one weight, so that one product makes what all of them add:
//
//   out[o, s*R + r] = scale * b[rows before part s + o - begin_s, r]   where row o is of part s
//                     0                                                elsewhere
//
// One thread an element of out.
// reference: adapterSpread()

override WG: u32 = 64u;   // threads in a workgroup

// What out holds: numbers in f32, or in f16; all arithmetic is f32.
alias Out = f32;   // given

struct Sizes {
  OC: u32,       // rows of out
  R: u32,        // rank
  parts: u32,    // 1 to 3
  begin0: u32,   // rows of the output that each part makes; none where it is not there
  end0: u32,
  begin1: u32,
  end1: u32,
  begin2: u32,
  end2: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<Out>;   // (OC, parts*R)
@group(0) @binding(1) var<storage, read> b: array<f32>;           // (rows of all parts, R)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn adapter_spread(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  let width = sizes.parts * sizes.R;
  if (i >= sizes.OC * width) { return; }
  let o = i / width;
  let part = i % width / sizes.R;
  let begins = vec3u(sizes.begin0, sizes.begin1, sizes.begin2);
  let ends = vec3u(sizes.end0, sizes.end1, sizes.end2);
  let before = vec3u(0u, ends.x - begins.x, ends.x - begins.x + ends.y - begins.y);
  var value = 0.0;
  if (o >= begins[part] && o < ends[part]) {
    value = sizes.scale * b[(before[part] + o - begins[part]) * sizes.R + i % sizes.R];
  }
  out[i] = Out(value);
}
