// Draws the token that comes next in each row's text, from its logits and one number of [0, 1). In this order: biases are
// added; a repetition penalty p takes the logits of tokens that the text has (x > 0 ? x / p : x * p); those that are never
// drawn go; of the rest the top k; then of e = exp((x - largest) / temperature) those that have top_p of the sum together,
// and those of min_p at least. Of tokens that are alike at an edge all stay. At temperature 0 it is the likeliest, the first of several.
//
//   id[n] = the first v for which number * sum_w e[w] < sum_{w <= v} e[w], over what is left
//
// The logits become what was drawn by: e, and 0 where a token was left out. A workgroup a row, each thread a stretch of
// the vocabulary. Edges are found by bits, the highest first: no sort.
// with: reductions, text_row
// reference: drawToken()

override WG: u32 = 64u;   // threads in a workgroup, a power of two

struct Drawing {
  temperature: f32,
  top_k: u32,     // 0: all
  top_p: f32,     // 1: all
  min_p: f32,     // 0: all
  penalty: f32,   // 1: none
  biases: u32,    // how many there are
}

struct Bias {
  id: u32,
  value: f32,
}

struct Sizes {
  N: u32,         // rows
  V: u32,         // vocabulary
  T: u32,         // positions of a slot
  slots: u32,
  words: u32,     // of 32 bits, one bit a token
  biases: u32,    // that there is room for in a slot
}

@group(0) @binding(0) var<storage, read_write> ids: array<u32>;        // (steps, slots)
@group(0) @binding(1) var<storage, read_write> rows: array<Row>;       // (N); then those of the tokens drawn
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;     // (N, V)
@group(0) @binding(3) var<storage, read_write> seen: array<u32>;       // (slots, words), tokens that the text has
@group(0) @binding(4) var<storage, read> never: array<u32>;            // (slots, words)
@group(0) @binding(5) var<storage, read> drawings: array<Drawing>;     // (slots)
@group(0) @binding(6) var<storage, read> biases: array<Bias>;          // (slots, sizes.biases)
@group(0) @binding(7) var<storage, read> numbers: array<f32>;          // (steps, slots)
@group(0) @binding(8) var<uniform> sizes: Sizes;

const LOWEST = -3.4e38;    // of what is left out
const HIGHEST = 3.3e38;    // of a logit, biased and penalized
const BEYOND = 16777216u;  // more than any id

// Numbers as integers in the same order.
fn ordered(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn has(word: u32, id: u32) -> bool { return ((word >> (id % 32u)) & 1u) == 1u; }

// A stretch of a row's logits, from v = begin on.
struct Stretch {
  line: u32,
  begin: u32,
  end: u32,
}

fn biased(at: Stretch, slot: u32, count: u32) {
  for (var b = 0u; b < count; b++) {
    let bias = biases[slot * sizes.biases + b];
    if (bias.id >= at.begin && bias.id < at.end) { logits[at.line + bias.id] += bias.value; }
  }
}

// Puts the logits as they are drawn by; tells the largest.
fn prepared(at: Stretch, slot: u32, penalty: f32) -> f32 {
  var largest = LOWEST;
  for (var v = at.begin; v < at.end; v++) {
    var x = logits[at.line + v];
    let word = slot * sizes.words + v / 32u;
    if (penalty != 1.0 && has(seen[word], v)) { x = select(x / penalty, x * penalty, x < 0.0); }
    x = clamp(x, -HIGHEST, HIGHEST);
    if (has(never[word], v)) { x = LOWEST; }
    logits[at.line + v] = x;
    largest = max(largest, x);
  }
  return largest;
}

var<workgroup> thirds: array<vec3f, WG>;

// Of every thread's vector the sum, the same for all of them.
fn reduce_sums(value: vec3f, i: u32) -> vec3f {
  thirds[i] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (i < half) { thirds[i] += thirds[i + half]; }
    workgroupBarrier();
  }
  let sum = thirds[0];
  workgroupBarrier();   // read by all before the next one overwrites it
  return sum;
}

// An edge's next two bits, 1 to 3 or none, with which three numbers fall that are or are not enough.
fn digit(sums: vec3f, enough: f32) -> u32 {
  return u32(sums.x >= enough) + u32(sums.y >= enough) + u32(sums.z >= enough);
}

// The order of the k-th largest logit: the largest number for which k of them are as large.
fn edge_of_top_k(at: Stretch, k: u32, i: u32) -> u32 {
  var edge = 0u;
  for (var turn = 0u; turn < 16u; turn++) {
    let shift = 30u - turn * 2u;
    let edges = vec3u(edge) | (vec3u(1u, 2u, 3u) << vec3u(shift));
    var count = vec3f();
    for (var v = at.begin; v < at.end; v++) {
      count += select(vec3f(), vec3f(1.0), vec3u(ordered(logits[at.line + v])) >= edges);
    }
    edge |= digit(reduce_sums(count, i), f32(k)) << shift;
  }
  return edge;
}

// The bits of the smallest e for which those above it have less than `enough`, which all of them together have.
fn edge_of_top_p(at: Stretch, enough: f32, i: u32) -> u32 {
  var edge = 0u;   // the largest for which those above it have enough
  for (var turn = 0u; turn < 15u; turn++) {
    let shift = 28u - turn * 2u;
    let edges = vec3u(edge) | (vec3u(1u, 2u, 3u) << vec3u(shift));
    var sum = vec3f();
    for (var v = at.begin; v < at.end; v++) {
      let e = logits[at.line + v];
      sum += select(vec3f(), vec3f(e), vec3u(bitcast<u32>(e)) > edges);
    }
    edge |= digit(reduce_sums(sum, i), enough) << shift;
  }
  return edge + 1u;
}

// Makes e of the logits from an edge on; tells their sum.
fn weighted(at: Stretch, largest: f32, edge: u32, temperature: f32) -> f32 {
  var sum = 0.0;
  for (var v = at.begin; v < at.end; v++) {
    let x = logits[at.line + v];
    var e = 0.0;
    if (x > LOWEST && ordered(x) >= edge) { e = exp(max((x - largest) / temperature, -100.0)); }
    logits[at.line + v] = e;
    sum += e;
  }
  return sum;
}

var<workgroup> row: Row;
var<workgroup> sums: array<f32, WG>;

// The first v whose e and those before it have more than the number's share of all.
fn chosen(at: Stretch, number: f32, i: u32) -> u32 {
  var own = 0.0;
  var last = -1.0;
  for (var v = at.begin; v < at.end; v++) {
    let e = logits[at.line + v];
    own += e;
    if (e > 0.0) { last = f32(v); }
  }
  sums[i] = own;
  workgroupBarrier();
  var before = 0.0;
  var all = 0.0;
  for (var j = 0u; j < WG; j++) {
    if (j == i) { before = all; }
    all += sums[j];
  }
  let point = number * all;
  var first = BEYOND;
  for (var v = at.begin; v < at.end && first == BEYOND; v++) {
    let e = logits[at.line + v];
    before += e;
    if (e > 0.0 && point < before) { first = v; }
  }
  let id = BEYOND - u32(reduce_max(f32(BEYOND - first), i));
  let end = u32(max(reduce_max(last, i), 0.0));
  return select(id, end, id == BEYOND);   // by rounding the number may lie behind all
}

// The first of the largest; its weight is 1 then, and that of all others 0.
fn likeliest(at: Stretch, largest: f32, i: u32) -> u32 {
  var first = BEYOND;
  for (var v = at.begin; v < at.end && first == BEYOND; v++) {
    if (logits[at.line + v] == largest) { first = v; }
  }
  let id = BEYOND - u32(reduce_max(f32(BEYOND - first), i));
  for (var v = at.begin; v < at.end; v++) { logits[at.line + v] = f32(v == id); }
  return id;
}

@compute @workgroup_size(WG)
fn draw_token(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  if (i == 0u) { row = rows[n]; }
  let r = workgroupUniformLoad(&row);
  let drawing = drawings[r.slot];
  let share = (sizes.V + WG - 1u) / WG;
  let at = Stretch(n * sizes.V, min(i * share, sizes.V), min((i + 1u) * share, sizes.V));
  biased(at, r.slot, drawing.biases);
  let largest = reduce_max(prepared(at, r.slot, drawing.penalty), i);
  var id = 0u;
  if (drawing.temperature == 0.0) {
    id = likeliest(at, largest, i);
  } else {
    var edge = 0u;
    if (drawing.top_k > 0u && drawing.top_k < sizes.V) { edge = edge_of_top_k(at, drawing.top_k, i); }
    let all = reduce_sum(weighted(at, largest, edge, drawing.temperature), i);
    var least = bitcast<u32>(drawing.min_p);
    if (drawing.top_p < 1.0) { least = max(least, edge_of_top_p(at, drawing.top_p * all, i)); }
    for (var v = at.begin; v < at.end; v++) {
      if (bitcast<u32>(logits[at.line + v]) < least) { logits[at.line + v] = 0.0; }
    }
    id = chosen(at, numbers[r.step * sizes.slots + r.slot], i);
  }
  if (i > 0u) { return; }
  ids[r.step * sizes.slots + r.slot] = id;
  rows[n] = Row(r.slot, min(r.position + 1u, sizes.T - 1u), i32(id), r.step + 1u);
  if (drawing.penalty != 1.0) { seen[r.slot * sizes.words + id / 32u] |= 1u << (id % 32u); }
}
