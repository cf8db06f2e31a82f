// Heads of q and k as pairs of channels (i, i + half()), which norms take as they come and positions turn. A line of X
// threads has a head; there are Y lines. The last pair of an odd number of channels has one.
// The kernel declares X and Y, X a power of two; the arrays qkv, turns, q_gain and k_gain; and sizes with HS, NH, gain
// and turn.

fn half() -> u32 { return (sizes.HS + 1u) / 2u; }
fn whole(i: u32) -> bool { return i + half() < sizes.HS; }
fn other(i: u32) -> u32 { return min(i + half(), sizes.HS - 1u); }

// Pair i of the head whose first channel is `head`.
fn pair_of(head: u32, i: u32) -> vec2f {
  return vec2f(f32(qkv[head + i]), select(0.0, f32(qkv[head + other(i)]), whole(i)));
}

// The gains of head h's pair i, 1 where there are none.
fn gains_of(h: u32, i: u32) -> vec2f {
  if (sizes.gain == 0u) { return vec2f(1.0); }
  if (h < sizes.NH) { return vec2f(q_gain[i], q_gain[other(i)]); }
  return vec2f(k_gain[i], k_gain[other(i)]);
}

// Pair i turned by the angle that it has at position t; back by it, with -1 for the direction.
fn turned(pair: vec2f, i: u32, t: u32, direction: f32) -> vec2f {
  if (sizes.turn == 0u) { return pair; }
  let at = turns[t * half() + i] * vec2f(1.0, direction);
  return vec2f(pair.x * at.x - pair.y * at.y, pair.y * at.x + pair.x * at.y);
}

var<workgroup> partial: array<f32, X * Y>;

// The sum over a line's threads, the same for all of them; i is the thread's place in the workgroup.
fn line_sum(value: f32, i: u32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var step = X / 2u; step > 0u; step /= 2u) {
    if (i % X < step) { partial[i] += partial[i + step]; }
    workgroupBarrier();
  }
  let sum = partial[i / X * X];
  workgroupBarrier();
  return sum;
}
