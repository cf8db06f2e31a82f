// Lets the oldest positions of some slots go: keys and values of those behind them move down, in place, and keys turn back
// by as many positions.
//
//   keys[slot,g,:,s]   = keys[slot,g,:,s + count] turned back by `count` positions        for kept <= s < T - count
//   values[slot,g,s,:] = values[slot,g,s + count,:]
//
// A thread has the pairs of channels (i, i + HS/2) of a head at the positions s, s + count, s + 2 count ... from one of the
// first `count` on, so that it alone reads what it overwrites.
// reference: slideCache()

override WG: u32 = 64u;   // threads in a workgroup

// What keys and values hold: numbers in f32, or in f16; all arithmetic is f32.
alias Cached = f32;   // given

struct Slide {
  slot: u32,
  kept: u32,    // positions that stay where they are
  count: u32,   // positions that go
  unused: u32,
}

struct Sizes {
  N: u32,     // slides
  T: u32,     // positions of a slot
  NKV: u32,   // heads
  HS: u32,    // channels of a head, an even number
}

@group(0) @binding(0) var<storage, read_write> keys: array<Cached>;     // (slots, NKV, HS, T)
@group(0) @binding(1) var<storage, read_write> values: array<Cached>;   // (slots, NKV, T, HS)
@group(0) @binding(2) var<storage, read> slides: array<Slide>;          // (N)
@group(0) @binding(3) var<storage, read> turns: array<vec2f>;           // (T, HS/2, 2) cos, sin
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn slide_cache(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let half = sizes.HS / 2u;
  let line = sizes.T * half;   // threads of a head; those from `count` positions on have nothing to do
  let index = thread.x + thread.y * groups.x * WG;
  let n = index / (line * sizes.NKV);
  if (n >= sizes.N) { return; }
  let slide = slides[n];
  let head = slide.slot * sizes.NKV + index / line % sizes.NKV;
  let i = index % line / sizes.T;
  let start = index % sizes.T;
  if (start >= slide.count) { return; }
  let low = (head * sizes.HS + i) * sizes.T;
  let high = low + half * sizes.T;
  let turn = turns[slide.count * half + i];
  for (var s = slide.kept + start; s + slide.count < sizes.T; s += slide.count) {
    let source = s + slide.count;
    let pair = vec2f(f32(keys[low + source]), f32(keys[high + source]));
    keys[low + s] = Cached(pair.x * turn.x + pair.y * turn.y);
    keys[high + s] = Cached(pair.y * turn.x - pair.x * turn.y);
    let to = (head * sizes.T + s) * sizes.HS + i;
    let value = to + slide.count * sizes.HS;
    values[to] = values[value];
    values[to + half] = values[value + half];
  }
}
