// Embedding of rows, each with a token and a position of its own, and where NORM the RMSNorm that follows it.
//
//   e[c]     = wte[id[n],c] + wpe[position[n],c]
//   out[n,c] = e[c]                                  with NORM: / sqrt(mean_c e[c]^2 + eps)
//
// A workgroup a row, its threads across channels.
// with: embedding, rstd, text_row
// reference: embeddingRows()

override WG: u32 = 64u;         // threads in a workgroup, a power of two
override NORM: bool = false;    // whether there is a norm

// What wte and wpe hold: numbers in f32, or in f16; all arithmetic is f32.
alias Weight = f32;   // given

struct Sizes {
  N: u32,           // rows
  C: u32,           // channels
  V: u32,           // vocabulary
  positions: u32,   // T, or 0 where wpe is nothing
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;   // (N, C)
@group(0) @binding(1) var<storage, read> rows: array<Row>;        // (N)
@group(0) @binding(2) var<storage, read> wte: array<Weight>;      // (V, C)
@group(0) @binding(3) var<storage, read> wpe: array<Weight>;      // (positions, C)
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(WG)
fn embedding_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) i: u32,
) {
  let n = group.x + group.y * groups.x;
  if (n >= sizes.N) { return; }
  let id = rows[n].id;
  let t = rows[n].position;
  var scale = 1.0;
  if (NORM) {
    var sum = 0.0;
    for (var c = i; c < sizes.C; c += WG) {
      let e = embedding(id, t, c);
      sum += e * e;
    }
    scale = rstd_of(sum, i);
  }
  for (var c = i; c < sizes.C; c += WG) { out[n * sizes.C + c] = embedding(id, t, c) * scale; }
}
