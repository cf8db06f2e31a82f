// The gradients of a linear layer's Bs from that of the one weight that adapter_spread makes of them:
//
//   db[rows before part s + o - begin_s, r] = scale * dweight[o, s*R + r]   where row o is of part s
//
// One thread an element of db.
// reference: adapterGather()

override WG: u32 = 64u;   // threads in a workgroup

struct Sizes {
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

@group(0) @binding(0) var<storage, read_write> db: array<f32>;   // (rows of all parts, R)
@group(0) @binding(1) var<storage, read> dweight: array<f32>;    // (OC, parts*R)
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn adapter_gather(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = thread.x + thread.y * groups.x * WG;
  let first = sizes.end0 - sizes.begin0;
  let second = first + sizes.end1 - sizes.begin1;
  let row = i / sizes.R;
  if (row >= second + sizes.end2 - sizes.begin2) { return; }
  var part = 0u;
  var o = sizes.begin0 + row;
  if (row >= second) {
    part = 2u;
    o = sizes.begin2 + row - second;
  } else if (row >= first) {
    part = 1u;
    o = sizes.begin1 + row - first;
  }
  db[i] = sizes.scale * dweight[(o * sizes.parts + part) * sizes.R + i % sizes.R];
}
