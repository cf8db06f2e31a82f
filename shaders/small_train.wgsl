// Trains a model so small that one workgroup holds all of it: many steps in one dispatch.
//
// A step takes the batch's documents one after the other through forward and backward pass, the operations of
// `program` (src/small/program.ts), then gradient norm, clipping and AdamW. A workgroup a model; if
// sizes.spread, all share the first model, each takes some of the documents and writes gradients and loss only.
// Activations are rows of workgroup memory, (channels, tiles): a vec4f is one channel at four positions, so
// that each parameter that is read serves four. Behind a document's end inputs and gradients are 0.
// Threads (X, Y, Z): in products x and z go across output channels and y across tiles; in a weight's gradient
// x goes across columns, y and z across rows: where Y = Z = 1, all loads but one are the same for all threads.
// Parameters stand as SmallLayout has them, rows of an odd length, so that threads that read a column meet no
// bank twice. Gradients and moments are in storage, read and written once a step.
// reference: smallTrain()

override ACT: u32;   // vec4f of activations, at least X * Y * Z
override W: u32;     // a model's parameters; or 1, then they stay in storage
override IDS: u32;   // a document's tokens: one more than the positions of all tiles
override X: u32; override Y: u32; override Z: u32;   // threads of the workgroup, a power of two

struct Sizes {
  T: u32, V: u32, C: u32, NH: u32, HS: u32,    // as everywhere; hardware is given C and HS
  P: u32, row: u32,                            // parameters of a model with their padding; length of a row of C
  tiles: u32, operations: u32,                 // of T positions; of the program
  docs: u32, capacity: u32, spread: u32,       // documents in an order; rows of a schedule; 1 or 0
}

struct Operation {   // kind: which function; the next four: first rows of activations; then see program.ts
  kind: u32, out: u32, inp: u32, dout: u32, rstd: u32, residual: u32, stats: u32, flags: u32,
  weight: u32, stride: u32, OC: u32, IC: u32,
}

const NONE = 0xffffffffu;   // no such row
const ACTIVATED = 1u;       // flags: the MLP's activation is behind this product
const OUTPUT = 2u;          // inp is the norm's output, not its input
const TOGETHER = 4u;        // the next operation neither needs this one nor spoils what it reads: no barrier
const LOWEST = -3.4e38;

struct Model {   // grad_clip 0: none; squared 1: relu squared, 0: relu; which order and which schedule
  lr: f32, beta1: f32, beta2: f32, epsilon: f32, weight_decay: f32, grad_clip: f32,
  eps: f32, squared: f32, batch_size: f32, order: f32, schedule: f32,
}

struct Row {     // a step of a schedule: factor on the model's lr; 1 / (1 - beta^t), t from 1; and the place
  lr: f32, correction1: f32, correction2: f32, first: f32,   // in the order of its first document, -1 at the end
}

@group(0) @binding(0) var<storage, read_write> params: array<f32>;       // (models, P)
@group(0) @binding(1) var<storage, read_write> moments: array<vec2f>;    // (models, P) Adam's m and v
@group(0) @binding(2) var<storage, read_write> grads: array<f32>;        // (workgroups, P)
@group(0) @binding(3) var<storage, read_write> records: array<vec2f>;    // (slots, workgroups) loss, gradient norm
@group(0) @binding(4) var<storage, read> tokens: array<u32>;             // documents, BOS before and after each
@group(0) @binding(5) var<storage, read> orders: array<vec2u>;           // (orders, docs) first token, positions
@group(0) @binding(6) var<storage, read> models: array<Model>;           // (models)
@group(0) @binding(7) var<storage, read> schedules: array<Row>;          // (schedules, capacity)
@group(0) @binding(8) var<uniform> program: array<Operation, 512>;
@group(0) @binding(9) var<uniform> window: vec2u;   // steps of this dispatch, first slot of its records
@group(0) @binding(10) var<uniform> sizes: Sizes;

var<workgroup> act: array<vec4f, ACT>;
var<workgroup> w: array<f32, W>;
var<workgroup> ids: array<u32, IDS>;   // t + 1 holds position t's target

var<private> id: vec3u; var<private> i: u32;   // of this thread, the same flat
var<private> m: u32;            // model
var<private> first_grad: u32;   // of this workgroup
var<private> n: u32; var<private> tiles: u32;  // positions of the document, and tiles of them
var<private> scale: f32;        // 1 / (positions of the batch)
var<private> add: bool;         // to the gradients of the batch's documents before this one
var<private> sums: vec2f;       // this thread's share of the loss, and of the gradients' sum of squares

fn at(row: u32, tile: u32) -> u32 { return row * sizes.tiles + tile; }
fn one(row: u32, position: u32) -> f32 { return act[at(row, position / 4u)][position % 4u]; }
fn positions(tile: u32) -> vec4u { return 4u * tile + vec4u(0u, 1u, 2u, 3u); }
fn total(v: vec4f) -> f32 { return dot(v, vec4f(1.0)); }

fn param(k: u32) -> f32 {
  if (W > 1u) { return w[k]; }
  return params[m * sizes.P + k];
}

fn put_gradient(k: u32, gradient: f32) {
  var g = gradient;
  if (add) { g += grads[first_grad + k]; }
  grads[first_grad + k] = g;
  sums.y += g * g;
}

// sum_c a[c] * b[c]
fn dot_rows(a: u32, b: u32, tile: u32) -> vec4f {
  var sum = vec4f();
  for (var c = 0u; c < sizes.C; c++) { sum += act[at(a + c, tile)] * act[at(b + c, tile)]; }
  return sum;
}

// sum_k rows[k] * parameter[first + k * stride]; in pieces of C, whose loop hardware can write out
fn products(rows: u32, tile: u32, count: u32, first: u32, stride: u32) -> vec4f {
  var sum = vec4f();
  var n = 0u;
  for (; n + sizes.C <= count; n += sizes.C) {
    for (var k = 0u; k < sizes.C; k++) { sum += act[at(rows + n + k, tile)] * param(first + (n + k) * stride); }
  }
  for (; n < count; n++) { sum += act[at(rows + n, tile)] * param(first + n * stride); }
  return sum;
}

// wte[token] + wpe[t]
fn embedding(t: u32, c: u32) -> f32 {
  return select(0.0, param(ids[t] * sizes.row + c) + param((sizes.V + t) * sizes.row + c), t < n);
}

fn embeddings(tile: u32, c: u32) -> vec4f {
  let t = positions(tile);
  return vec4f(embedding(t.x, c), embedding(t.y, c), embedding(t.z, c), embedding(t.w, c));
}

// out = rmsnorm(wte[token] + wpe[t])
fn embedding_forward(op: Operation) {
  for (var tile = id.y; tile < tiles; tile += Y) {
    var sum = vec4f();
    for (var c = 0u; c < sizes.C; c++) { let x = embeddings(tile, c); sum += x * x; }
    let rstd = 1.0 / sqrt(sum / f32(sizes.C) + models[m].eps);
    if (id.x + id.z == 0u) { act[at(op.rstd, tile)] = rstd; }
    for (var c = id.x + X * id.z; c < sizes.C; c += X * Z) { act[at(op.out + c, tile)] = embeddings(tile, c) * rstd; }
  }
}

// dwte[v] = sum of dout at the positions of token v; dwpe[t] = dout[t]
fn embedding_backward(op: Operation) {
  for (var r = id.y + Y * id.z; r < sizes.V + sizes.T; r += Y * Z) {
    for (var c = id.x; c < sizes.C; c += X) {
      var sum = vec4f();
      for (var tile = 0u; tile < tiles; tile++) {
        let t = positions(tile);
        let here = vec4u(ids[t.x], ids[t.y], ids[t.z], ids[t.w]) == vec4u(r);
        sum += select(vec4f(), act[at(op.dout + c, tile)], select(here, t + sizes.V == vec4u(r), r >= sizes.V));
      }
      put_gradient(r * sizes.row + c, total(sum));
    }
  }
}

// out = rstd * (dout - y * mean_c(dout * y)) + residual, where y = inp * rstd, or inp if it is the OUTPUT
fn rmsnorm_backward(op: Operation) {
  for (var tile = id.y; tile < tiles; tile += Y) {
    let rstd = act[at(op.rstd, tile)];
    var pull = dot_rows(op.dout, op.inp, tile) / f32(sizes.C);
    if ((op.flags & OUTPUT) == 0u) { pull *= rstd * rstd; }
    for (var c = id.x + X * id.z; c < sizes.C; c += X * Z) {
      var sum = rstd * (act[at(op.dout + c, tile)] - act[at(op.inp + c, tile)] * pull);
      if (op.residual != NONE) { sum += act[at(op.residual + c, tile)]; }
      act[at(op.out + c, tile)] = sum;
    }
  }
}

// out (OC) = inp (IC) * weight^T, the input normalised if there is a row rstd
fn matmul_forward(op: Operation) {
  for (var tile = id.y; tile < tiles; tile += Y) {
    var rstd = vec4f(1.0);
    if (op.rstd != NONE) {
      rstd = 1.0 / sqrt(dot_rows(op.inp, op.inp, tile) / f32(sizes.C) + models[m].eps);
      if (id.x + id.z == 0u) { act[at(op.rstd, tile)] = rstd; }
    }
    for (var o = id.x + X * id.z; o < op.OC; o += X * Z) {
      var sum = rstd * products(op.inp, tile, op.IC, op.weight + o * op.stride, 1u);
      if (op.residual != NONE) { sum += act[at(op.residual + o, tile)]; }
      if ((op.flags & ACTIVATED) != 0u) {
        sum = max(sum, vec4f());
        if (models[m].squared != 0.0) { sum *= sum; }
      }
      act[at(op.out + o, tile)] = sum;
    }
  }
}

// out (IC) = dout (OC) * weight; if ACTIVATED, out holds the activation's output y before and the gradient
// goes on through it: times 1 or 0 for relu, times 2 max(inp, 0) = 2 sqrt(y) for its square
fn matmul_backward_input(op: Operation) {
  for (var tile = id.y; tile < tiles; tile += Y) {
    for (var c = id.x + X * id.z; c < op.IC; c += X * Z) {
      var sum = products(op.dout, tile, op.OC, op.weight + c, op.stride);
      if ((op.flags & ACTIVATED) != 0u) {
        let y = act[at(op.out + c, tile)];
        if (models[m].squared != 0.0) { sum *= 2.0 * sqrt(y); }
        sum = select(vec4f(), sum, y > vec4f());
      }
      act[at(op.out + c, tile)] = sum;
    }
  }
}

// dweight (OC, IC) = dout^T * inp, the input normalised if there is a row rstd; a thread four rows of a column
fn matmul_backward_weight(op: Operation) {
  for (var o = 4u * (id.y + Y * id.z); o < op.OC; o += 4u * Y * Z) {
    for (var c = id.x; c < op.IC; c += X) {
      var sums = mat4x4f();
      for (var tile = 0u; tile < tiles; tile++) {
        let t = sizes.tiles;
        let d = at(op.dout + o, tile);   // what is read behind OC is not used
        var x = act[at(op.inp + c, tile)];
        if (op.rstd != NONE) { x *= act[at(op.rstd, tile)]; }
        sums += mat4x4f(x * act[d], x * act[d + t], x * act[d + 2u * t], x * act[d + 3u * t]);
      }
      let gradients = vec4f(1.0) * sums;
      for (var r = 0u; r < min(4u, op.OC - o); r++) { put_gradient(op.weight + (o + r) * op.stride + c, gradients[r]); }
    }
  }
}

// sum_c a[c] at a tile's positions * b[c] at one position, of one head
fn dot_head(a: u32, tile: u32, b: u32, position: u32) -> vec4f {
  var sum = vec4f();
  for (var c = 0u; c < sizes.HS; c++) { sum += act[at(a + c, tile)] * one(b + c, position); }
  return sum;
}

// out[c] += factor * inp[c] at one position, with the first of them instead of what was there
fn add_head(out: u32, tile: u32, first: bool, factor: vec4f, inp: u32, position: u32) {
  for (var c = 0u; c < sizes.HS; c++) {
    let before = select(act[at(out + c, tile)], vec4f(), first);
    act[at(out + c, tile)] = before + factor * one(inp + c, position);
  }
}

// a . b / sqrt(HS), of queries and keys; LOWEST where the query may not see the key
fn score(a: u32, tile: u32, b: u32, position: u32, seen: vec4<bool>) -> vec4f {
  return select(vec4f(LOWEST), dot_head(a, tile, b, position) / sqrt(f32(sizes.HS)), seen);
}

// out = softmax(q . k / sqrt(HS), causal) * v of a head and four queries; inp is qkv
fn attention_forward(op: Operation, h: u32, tile: u32) {
  let q = op.inp + h * sizes.HS;
  let out = op.out + h * sizes.HS;
  var largest = vec4f(LOWEST);
  for (var s = 0u; s < 4u * tile + 4u; s++) {
    largest = max(largest, score(q, tile, q + sizes.C, s, positions(tile) >= vec4u(s)));
  }
  var sum = vec4f();
  for (var s = 0u; s < 4u * tile + 4u; s++) {
    let e = exp(score(q, tile, q + sizes.C, s, positions(tile) >= vec4u(s)) - largest);
    sum += e;
    add_head(out, tile, s == 0u, e, q + 2u * sizes.C, s);
  }
  for (var c = 0u; c < sizes.HS; c++) { act[at(out + c, tile)] /= sum; }
  act[at(op.stats + h, tile)] = largest;
  act[at(op.stats + sizes.NH + h, tile)] = 1.0 / sum;
}

// Of a head and four queries, where out is dqkv and residual the forward pass's output:
// delta = rowsum(dout * residual), dq = sum_s dscore * k, dscore = p * (dout . v - delta) / sqrt(HS)
fn attention_backward_q(op: Operation, h: u32, tile: u32) {
  let q = op.inp + h * sizes.HS;
  let k = q + sizes.C;
  let dout = op.dout + h * sizes.HS;
  let out = op.residual + h * sizes.HS;
  var delta = vec4f();
  for (var c = 0u; c < sizes.HS; c++) { delta += act[at(dout + c, tile)] * act[at(out + c, tile)]; }
  act[at(op.stats + 2u * sizes.NH + h, tile)] = delta;
  for (var s = 0u; s < 4u * tile + 4u; s++) {
    let masked = score(q, tile, k, s, positions(tile) >= vec4u(s));
    let p = exp(masked - act[at(op.stats + h, tile)]) * act[at(op.stats + sizes.NH + h, tile)];
    let dscore = p * (dot_head(dout, tile, k + sizes.C, s) - delta) / sqrt(f32(sizes.HS));
    add_head(op.out + h * sizes.HS, tile, s == 0u, dscore, k, s);
  }
}

// dk = sum_t dscore * q, dv = sum_t p * dout of a head and four keys
fn attention_backward_kv(op: Operation, h: u32, tile: u32) {
  let q = op.inp + h * sizes.HS;
  let k = q + sizes.C;
  let dk = op.out + sizes.C + h * sizes.HS;
  let dout = op.dout + h * sizes.HS;
  for (var t = 4u * tile; t < 4u * tiles; t++) {
    let masked = score(k, tile, q, t, positions(tile) <= vec4u(t));
    let p = exp(masked - one(op.stats + h, t)) * one(op.stats + sizes.NH + h, t);
    let dp = dot_head(k + sizes.C, tile, dout, t);
    let dscore = p * (dp - one(op.stats + 2u * sizes.NH + h, t)) / sqrt(f32(sizes.HS));
    add_head(dk, tile, t == 4u * tile, dscore, q, t);
    add_head(dk + sizes.C, tile, t == 4u * tile, p, dout, t);
  }
}

// Logits become their gradient, (softmax - onehot(target)) * scale; the loss is added up
fn cross_entropy(logits: u32, tile: u32) {
  let t = positions(tile);
  let wanted = vec4u(ids[t.x + 1u], ids[t.y + 1u], ids[t.z + 1u], ids[t.w + 1u]);
  let counts = t < vec4u(n);
  var largest = vec4f(LOWEST);
  for (var v = 0u; v < sizes.V; v++) { largest = max(largest, act[at(logits + v, tile)]); }
  var sum = vec4f();
  var reached = vec4f();
  for (var v = 0u; v < sizes.V; v++) {
    let logit = act[at(logits + v, tile)] - largest;
    sum += exp(logit);
    reached = select(reached, logit, wanted == vec4u(v));
  }
  sums.x += scale * total(select(vec4f(), log(sum) - reached, counts));
  for (var v = 0u; v < sizes.V; v++) {
    let p = exp(act[at(logits + v, tile)] - largest) / sum;
    let gradient = (p - select(vec4f(), vec4f(1.0), wanted == vec4u(v))) * scale;
    act[at(logits + v, tile)] = select(vec4f(), gradient, counts);
  }
}

// The sums over all threads, the same for all of them; pairs are added in a tree.
fn reduce_sum(value: vec2f) -> vec2f {
  act[i] = vec4f(value, 0.0, 0.0);   // activations are no longer needed
  workgroupBarrier();
  for (var half = X * Y * Z / 2u; half > 0u; half /= 2u) {
    if (i < half) { act[i] += act[i + half]; }
    workgroupBarrier();
  }
  return act[0].xy;
}

// See adamw.wgsl.
fn adamw(row: Row, grad_norm: f32) {
  let model = models[m];
  let clip = select(1.0, model.grad_clip / grad_norm, model.grad_clip > 0.0 && grad_norm > model.grad_clip);
  for (var first = i; first < sizes.P; first += 4u * X * Y * Z) {
    var loaded: array<vec3f, 4>;   // all are asked for before the first is used
    for (var j = 0u; j < 4u; j++) {
      let k = min(first + j * X * Y * Z, sizes.P - 1u);
      loaded[j] = vec3f(moments[m * sizes.P + k], grads[first_grad + k] * clip);
    }
    for (var j = 0u; j < 4u; j++) {
      let k = first + j * X * Y * Z;
      if (k >= sizes.P) { break; }
      let g = loaded[j].z;
      let mean = model.beta1 * loaded[j].x + (1.0 - model.beta1) * g;
      let square = model.beta2 * loaded[j].y + (1.0 - model.beta2) * g * g;
      moments[m * sizes.P + k] = vec2f(mean, square);
      let update = mean * row.correction1 / (sqrt(square * row.correction2) + model.epsilon);
      let value = param(k) - model.lr * row.lr * (update + model.weight_decay * param(k));
      if (W > 1u) { w[k] = value; } else { params[m * sizes.P + k] = value; }
    }
  }
}

@compute @workgroup_size(X, Y, Z)
fn small_train(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  id = thread; i = index;
  let spread = sizes.spread != 0u;
  let first = select(0u, group.x, spread);   // of the batch's documents
  let stride = select(1u, groups.x, spread);
  m = group.x - first; first_grad = group.x * sizes.P;
  let model = models[group.x - first];
  let order = u32(model.order) * sizes.docs;
  if (W > 1u) { for (var k = i; k < sizes.P; k += X * Y * Z) { w[k] = params[m * sizes.P + k]; } }
  for (var step = 0u; step < window.x; step++) {
    let row = schedules[u32(model.schedule) * sizes.capacity + step];
    if (row.first < 0.0) { break; }
    var targets = 0u;
    for (var b = 0u; b < u32(model.batch_size); b++) { targets += orders[order + (u32(row.first) + b) % sizes.docs].y; }
    scale = 1.0 / f32(targets);
    sums = vec2f();
    for (var b = first; b < u32(model.batch_size); b += stride) {
      let document = orders[order + (u32(row.first) + b) % sizes.docs];
      n = document.y; tiles = (n + 3u) / 4u;
      add = b > first;
      sums.y = 0.0;   // in the end, that of the last document's gradients is all documents'
      for (var t = i; t <= 4u * tiles; t += X * Y * Z) {
        ids[t] = select(sizes.V, tokens[document.x + min(t, n)], t <= n);
      }
      workgroupBarrier();
      for (var k = 0u; k < sizes.operations; k++) {
        let op = program[k];
        switch (op.kind) {
          case 0u: { embedding_forward(op); }
          case 1u: { matmul_forward(op); }
          case 2u: { matmul_backward_weight(op); }
          case 3u: { matmul_backward_input(op); }
          case 4u: { rmsnorm_backward(op); }
          case 5u: { embedding_backward(op); }
          default: {
            for (var j = i; j < op.OC * tiles; j += X * Y * Z) {   // a thread four positions, and a head of OC
              switch (op.kind) {
                case 6u: { cross_entropy(op.out, j); }
                case 7u: { attention_forward(op, j % op.OC, j / op.OC); }
                case 8u: { attention_backward_q(op, j % op.OC, j / op.OC); }
                default: { attention_backward_kv(op, j % op.OC, j / op.OC); }
              }
            }
          }
        }
        if ((op.flags & TOGETHER) == 0u) { workgroupBarrier(); }
      }
    }
    let all = reduce_sum(sums);
    storageBarrier();
    if (i == 0u) { records[(window.y + step) * groups.x + group.x] = vec2f(all.x, sqrt(all.y)); }
    if (!spread) { adamw(row, sqrt(all.y)); }
    storageBarrier(); workgroupBarrier();
  }
  if (W > 1u && !spread) { for (var k = i; k < sizes.P; k += X * Y * Z) { params[m * sizes.P + k] = w[k]; } }
}
