// Philox 4x32-10: four random words as a function of a counter and a key. The same words as those of src/philox.ts.

const MULTIPLIERS = vec2u(0xd2511f53u, 0xcd9e8d57u);
const KEY_STEPS = vec2u(0x9e3779b9u, 0xbb67ae85u);   // added to the key from round to round
const ROUNDS = 10u;

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  var words = counter;
  var k = key;
  for (var round = 0u; round < ROUNDS; round++) {
    let low = words.xz * MULTIPLIERS;
    let high = upper_words(words.xz, MULTIPLIERS);
    words = vec4u(high.y ^ words.y ^ k.x, low.y, high.x ^ words.w ^ k.y, low.x);
    k += KEY_STEPS;
  }
  return words;
}

// The upper words of products of 64 bits, from halves of 16.
fn upper_words(a: vec2u, b: vec2u) -> vec2u {
  let half = vec2u(16u);
  let mask = vec2u(0xffffu);
  let a0 = a & mask;
  let a1 = a >> half;
  let b0 = b & mask;
  let b1 = b >> half;
  let middle = a1 * b0 + ((a0 * b0) >> half);
  let other = a0 * b1 + (middle & mask);
  return a1 * b1 + (middle >> half) + (other >> half);
}
