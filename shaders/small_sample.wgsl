// Writes texts with a model so small that one workgroup holds it: of a text all tokens in one dispatch.
//
// A workgroup a text. Position by position its token goes through the model, and keys and values stay in workgroup
// memory, as do the activations of the one position: x, the residual stream between attention and MLP, q, attention's
// output (C each), the MLP's inside (4C), and then scores or logits. From position `first` on there are logits; behind
// the tokens that are given the next one is drawn, by one thread, with the text's random number for that place. Whole
// numbers are in f32. Parameters stand as in small_train.wgsl.
// reference: smallSample()

override ACT: u32;   // activations
override CACHE: u32; // keys and values
override W: u32;     // a model's parameters; or 1, then they stay in storage
override X: u32;     // threads

struct Sizes {
  T: u32, V: u32, C: u32, NH: u32, HS: u32, L: u32,
  P: u32, row: u32, wide: u32,            // parameters with their padding; length of a row of C, and of one of 4C
  head: u32, layers: u32, layer: u32,     // first parameter of the head and of the first layer; parameters of a layer
  cached: u32,                            // numbers from one position's keys and values to the next
  squared: u32, eps: f32,                 // 1: relu squared, 0: relu
}

const LOWEST = -3.4e38;
const NOTHING = -87.0;   // exp() of less is 0

struct Text {    // tokens that are given; first position with logits; positions at most; 0 takes the likeliest token
  given: f32, first: f32, end: f32, temperature: f32,
}

@group(0) @binding(0) var<storage, read> params: array<f32>;         // (P)
@group(0) @binding(1) var<storage, read_write> tokens: array<f32>;   // (texts, T + 1)
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;   // (texts, T, V)
@group(0) @binding(3) var<storage, read> texts: array<Text>;         // (texts)
@group(0) @binding(4) var<storage, read> numbers: array<f32>;        // (texts, T) of 0 to 1, that of t draws token t + 1
@group(0) @binding(5) var<storage, read> choices: array<vec2f>;      // (texts, V) added to a logit; 1 where it ends the text
@group(0) @binding(6) var<uniform> sizes: Sizes;

var<workgroup> act: array<f32, ACT>;
var<workgroup> cache: array<f32, CACHE>;   // (L, T, cached)
var<workgroup> w: array<f32, W>;
var<workgroup> next: u32;                  // token of the position

fn param(k: u32) -> f32 {
  if (W > 1u) { return w[k]; }
  return params[k];
}

// 1 / rms of C activations
fn rstd(first: u32) -> f32 {
  var sum = 0.0;
  for (var c = 0u; c < sizes.C; c++) { sum += act[first + c] * act[first + c]; }
  return 1.0 / sqrt(sum / f32(sizes.C) + sizes.eps);
}

// sum_k act[first + k] * parameter[row + k]
fn product(first: u32, row: u32, count: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < count; k++) { sum += act[first + k] * param(row + k); }
  return sum;
}

// wte[token] + wpe[t]
fn embedding(token: u32, t: u32, c: u32) -> f32 {
  return param(token * sizes.row + c) + param((sizes.V + t) * sizes.row + c);
}

fn score(logit: u32, choice: u32) -> f32 { return act[logit] + choices[choice].x; }

// The token that a number draws from softmax(scores / temperature); the likeliest one, the first of several, at 0.
fn draw(text: Text, slot: u32, number: f32) -> u32 {
  let first = 8u * sizes.C;
  let choice = slot * sizes.V;
  var likeliest = 0u;
  for (var v = 1u; v < sizes.V; v++) {
    if (score(first + v, choice + v) > score(first + likeliest, choice + likeliest)) { likeliest = v; }
  }
  if (text.temperature == 0.0) { return likeliest; }
  let largest = score(first + likeliest, choice + likeliest);
  var total = 0.0;
  for (var v = 0u; v < sizes.V; v++) {
    let x = (score(first + v, choice + v) - largest) / text.temperature;
    act[first + v] = select(exp(max(x, NOTHING)), 0.0, x < NOTHING);
    total += act[first + v];
  }
  var sum = 0.0;
  var last = likeliest;
  for (var v = 0u; v < sizes.V; v++) {
    sum += act[first + v];
    if (act[first + v] > 0.0) { last = v; }
    if (number * total < sum) { return v; }
  }
  return last;
}

@compute @workgroup_size(X)
fn small_sample(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) i: u32) {
  let slot = group.x;
  let text = texts[slot];
  if (text.end == 0.0) { return; }   // no text
  if (W > 1u) { for (var k = i; k < sizes.P; k += X) { w[k] = params[k]; } }
  let C = sizes.C;
  let x = 0u; let mid = C; let q = 2u * C; let att = 3u * C; let inner = 4u * C; let rest = 8u * C;
  let first_token = slot * (sizes.T + 1u);
  if (i == 0u) { next = u32(tokens[first_token]); }
  for (var t = 0u; f32(t) < text.end; t++) {
    let token = workgroupUniformLoad(&next);
    var sum = 0.0;
    for (var c = 0u; c < C; c++) { let e = embedding(token, t, c); sum += e * e; }
    let norm = 1.0 / sqrt(sum / f32(C) + sizes.eps);
    for (var c = i; c < C; c += X) { act[x + c] = norm * embedding(token, t, c); }
    workgroupBarrier();
    for (var l = 0u; l < sizes.L; l++) {
      let weights = sizes.layers + l * sizes.layer;   // q, k and v; attention's output; the MLP's two
      let past = l * sizes.T * sizes.cached;
      let scale = rstd(x);
      for (var o = i; o < 3u * C; o += X) {
        let value = scale * product(x, weights + o * sizes.row, C);
        if (o < C) { act[q + o] = value; } else { cache[past + t * sizes.cached + o - C] = value; }
      }
      workgroupBarrier();
      for (var j = i; j < sizes.NH * (t + 1u); j += X) {
        let h = j / (t + 1u) * sizes.HS;
        let key = past + j % (t + 1u) * sizes.cached + h;
        var sum = 0.0;
        for (var c = 0u; c < sizes.HS; c++) { sum += act[q + h + c] * cache[key + c]; }
        act[rest + j] = sum / sqrt(f32(sizes.HS));
      }
      workgroupBarrier();
      for (var c = i; c < C; c += X) {
        let scores = rest + c / sizes.HS * (t + 1u);
        var largest = LOWEST;
        for (var s = 0u; s <= t; s++) { largest = max(largest, act[scores + s]); }
        var all = 0.0;
        var sum = 0.0;
        for (var s = 0u; s <= t; s++) {
          let e = exp(act[scores + s] - largest);
          all += e;
          sum += e * cache[past + s * sizes.cached + C + c];
        }
        act[att + c] = sum / all;
      }
      workgroupBarrier();
      let wo = weights + 3u * C * sizes.row;
      for (var c = i; c < C; c += X) { act[mid + c] = act[x + c] + product(att, wo + c * sizes.row, C); }
      workgroupBarrier();
      let fc1 = wo + C * sizes.row;
      let again = rstd(mid);
      for (var o = i; o < 4u * C; o += X) {
        let value = max(again * product(mid, fc1 + o * sizes.row, C), 0.0);
        act[inner + o] = select(value, value * value, sizes.squared != 0u);
      }
      workgroupBarrier();
      let fc2 = fc1 + 4u * C * sizes.row;
      for (var c = i; c < C; c += X) { act[x + c] = act[mid + c] + product(inner, fc2 + c * sizes.wide, 4u * C); }
      workgroupBarrier();
    }
    if (f32(t) >= text.first) {
      for (var v = i; v < sizes.V; v += X) {
        let logit = product(x, sizes.head + v * sizes.row, C);
        act[rest + v] = logit;
        logits[(slot * sizes.T + t) * sizes.V + v] = logit;
      }
      workgroupBarrier();
    }
    if (i == 0u) {
      if (f32(t + 1u) >= text.given) {
        tokens[first_token + t + 1u] = f32(draw(text, slot, numbers[slot * sizes.T + t]));
      }
      next = u32(tokens[first_token + t + 1u]);
    }
    let drawn = workgroupUniformLoad(&next);
    if (f32(t + 1u) >= text.given && choices[slot * sizes.V + drawn].y != 0.0) { break; }
  }
}
