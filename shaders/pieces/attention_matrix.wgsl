// Attention's tiles on matrix units. A workgroup has ROWS rows (queries, or keys in their half of the backward pass),
// UNIT_M a subgroup, which stay in matrices, and takes STEP positions of the others at a time. These pass through workgroup
// memory, where lines are padded, so that those of a matrix do not meet in a bank.
// The kernel declares qkv, an array of vectors.
// with: heads, matrix_units

const HS = 64u;       // given: channels of a head, a multiple of 4
const DOWN = 4u;      // given: subgroups, of UNIT_M rows each; of 64 rows at most

const STEP = 32u;
const ROWS = DOWN * UNIT_M;
const PARTS = LANES / UNIT_M;   // lanes that share a row
const THREADS = LANES * DOWN;
const ACROSS = STEP / UNIT_N;   // matrices
const UNIT = max(UNIT_N, UNIT_K);
const WIDTH = (HS + UNIT - 1u) / UNIT * UNIT;   // channels, with zeros from HS on
const PITCH = (WIDTH + 8u) / 4u;                // of a line, in vectors
const SCORE_PITCH = (STEP + 4u) / 4u;
const WEIGHT_PITCH = (STEP + 8u) / 4u;
// All of them take whole pieces of 16 bytes: a driver that packs them must not move one to where no matrix can be
// loaded from.
var<workgroup> tile: array<vec4h, 2u * STEP * PITCH>;
var<workgroup> scores: array<vec4f, ROWS * SCORE_PITCH>;   // (row, position); then STEP channels of a result

// A vector that a thread brings to the tile in the n-th turn: vector c of line i, from vector `inside` of its position.
const TURNS = (STEP * (WIDTH / 4u) + THREADS - 1u) / THREADS;
struct Brought { i: u32, c: u32, inside: u32 }

fn brought(n: u32, thread: u32) -> Brought {
  let index = n * THREADS + thread;
  let c = index % (WIDTH / 4u);
  return Brought(index / (WIDTH / 4u), c, min(c, HS / 4u - 1u));
}

fn put(line: u32, it: Brought, vector: vec4h) {
  if (it.i < STEP) { tile[(line + it.i) * PITCH + it.c] = select(vec4h(), vector, it.c < HS / 4u); }
}

// STEP positions of qkv from `first` on, past the end the last one, to lines of the tile.
fn stage(base: u32, first: u32, line: u32, thread: u32) {
  for (var n = 0u; n < TURNS; n++) {
    let it = brought(n, thread);
    let position = min(first + it.i, sizes.T - 1u) * (qkv_line() / 4u);
    put(line, it, vec4h(qkv[base + position + it.inside]));
  }
}

// As many as the workgroup has rows.
fn stage_rows(base: u32, first: u32, thread: u32) {
  for (var n = 0u; n < (ROWS + STEP - 1u) / STEP; n++) { stage(base, first + n * STEP, n * STEP, thread); }
}

// Matrices of the tile. Of the workgroup's rows from `first` on, channels i * UNIT_K on:
fn own_at(first: u32, i: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&tile, first * PITCH + i * UNIT_K / 4u, PITCH);
}

// of positions from `line` on as columns, the same channels;
fn columns_at(line: u32, i: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&tile, line * PITCH + i * UNIT_K / 4u, PITCH);
}

// of positions from `line` on as rows, channels j * UNIT_N on.
fn rows_at(line: u32, j: u32) -> Right {
  return subgroupMatrixLoad<Right, row_major>(&tile, line * PITCH + j * UNIT_N / 4u, PITCH);
}

// The sum of what the lanes of a row hold, its parts. They meet in workgroup memory, where nobody may need scores: some
// drivers die over a kernel with both matrices and arithmetic of subgroups.
fn sum_of(held: f32, row: u32, part: u32) -> f32 {
  scores[row * SCORE_PITCH + part].x = held;
  workgroupBarrier();
  var sum = 0.0;
  for (var n = 0u; n < PARTS; n++) { sum += scores[row * SCORE_PITCH + n].x; }
  workgroupBarrier();
  return sum;
}
