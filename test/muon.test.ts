// Muon in float64: a step of it against plain loops over rows and columns, and what makes it Muon, singular values near 1.

import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { dimsOf, ParameterLayout } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { finish } from "../src/finish.ts";
import { muonNormalize, orthogonalize } from "../src/reference/optimizers.ts";
import { CpuOptimizer } from "../src/training/cpu_optimizer.ts";

type Matrix = number[][];

const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array<number>(columns).fill(0));

function times(a: Matrix, b: Matrix): Matrix {
  const out = zeros(a.length, b[0].length);
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b[0].length; j++) {
      for (let k = 0; k < b.length; k++) out[i][j] += a[i][k] * b[k][j];
    }
  }
  return out;
}

const transpose = (a: Matrix): Matrix => a[0].map((_, j) => a.map((row) => row[j]));

/** As the method's authors have it: always on the wide matrix, five times aX + (bA + cA²)X. */
function newtonSchulz(g: Matrix): Matrix {
  let x = g.length > g[0].length ? transpose(g) : g;
  let squares = 0;
  for (const row of x) for (const value of row) squares += value ** 2;
  x = x.map((row) => row.map((value) => value / (Math.sqrt(squares) + 1e-7)));
  for (let i = 0; i < 5; i++) {
    const a = times(x, transpose(x));
    const aa = times(a, a);
    const b = a.map((row, i) => row.map((value, j) => -4.775 * value + 2.0315 * aa[i][j]));
    const bx = times(b, x);
    x = x.map((row, i) => row.map((value, j) => 3.4445 * value + bx[i][j]));
  }
  return g.length > g[0].length ? transpose(x) : x;
}

const matrixOf = (flat: Float64Array, rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, (_, i) => [...flat.subarray(i * columns, (i + 1) * columns)]);

test.each([0, 0.1])("steps are those of plain loops, with decay %d", (weight_decay) => {
  const random = new PythonRandom(3);
  const normal = (size: number) => Float64Array.from({ length: size }, () => random.gauss(0, 1));
  const settings = { n_layer: 2, n_embd: 6, n_head: 2, block_size: 3, num_steps: 10 };
  const config = resolveConfig("microgpt", {
    ...settings,
    optimizer: "muon",
    weight_decay,
    muon_lr: 0.03,
    learning_rate: 0.01,
  });
  const layout = new ParameterLayout(dimsOf(config, 5));
  const params = normal(layout.size);
  const expected = params.slice();
  const m = new Float64Array(layout.size);
  const v = new Float64Array(layout.size);
  const optimizer = new CpuOptimizer(config, layout);
  for (let step = 0; step < 4; step++) {
    const grads = normal(layout.size);
    const clip = 0.5;
    finish(optimizer.update(params, grads, step, clip));
    const left = 1 - step / 10;
    for (const { name, shape, offset, size } of layout.slices) {
      const [rows, columns = 1] = shape;
      const flat = new Float64Array(size);
      for (let i = 0; i < size; i++) {
        const [g, at] = [clip * grads[offset + i], offset + i];
        if (name.startsWith("layer")) {
          m[at] = 0.95 * m[at] + g;
          flat[i] = g + 0.95 * m[at];
        } else {
          m[at] = 0.85 * m[at] + 0.15 * g;
          v[at] = 0.99 * v[at] + 0.01 * g * g;
          const mean = m[at] / (1 - 0.85 ** (step + 1));
          const root = Math.sqrt(v[at] / (1 - 0.99 ** (step + 1)));
          const update = mean / (root + 1e-8) + weight_decay * expected[at];
          expected[at] -= 0.01 * left * update;
        }
      }
      if (!name.startsWith("layer")) continue;
      const direction = newtonSchulz(matrixOf(flat, rows, columns)).flat();
      const scale = Math.sqrt(Math.max(1, rows / columns));
      for (let i = 0; i < size; i++) {
        const decay = weight_decay * expected[offset + i];
        expected[offset + i] -= 0.03 * left * (scale * direction[i] + decay);
      }
    }
    const worst = Math.max(...params.map((value, i) => Math.abs(value - expected[i])));
    expect(worst).toBeLessThan(1e-12);
  }
});

test.each([
  [6, 6],
  [4, 31],
])("singular values of a (%i, %i) matrix come near 1", (n, k) => {
  const random = new PythonRandom(5);
  const size = n * k;
  const x = Float64Array.from({ length: size }, () => random.gauss(0, 1));
  const before = matrixOf(x, n, k);
  const squares = x.reduce((sum, value) => sum + value * value, 0);
  muonNormalize(x, Float64Array.of(squares), { size, chunk: size });
  const y = new Float64Array(size);
  const [a, square] = [new Float64Array(n * n), new Float64Array(n * n)];
  finish(orthogonalize(x, { y, a, square }, { n, k }));
  const after = matrixOf(y, n, k);
  // y·yᵀ has the squares of the singular values: near 1 in every direction.
  const gram = times(after, transpose(after));
  for (let tries = 0; tries < 20; tries++) {
    const direction = Array.from({ length: n }, () => random.gauss(0, 1));
    const length = direction.reduce((sum, value) => sum + value * value, 0);
    const [stretched] = times([direction], gram);
    const ratio = direction.reduce((sum, value, i) => sum + value * stretched[i], 0) / length;
    expect(ratio).toBeGreaterThan(0.6 ** 2);
    expect(ratio).toBeLessThan(1.3 ** 2);
  }
  // and the singular vectors are the same: what was symmetric with respect to the matrix stays so
  const cross = times(before, transpose(after));
  cross.forEach((row, i) => row.forEach((value, j) => expect(value).toBeCloseTo(cross[j][i], 10)));
});

test("an update that is given up amid its products has changed nothing", () => {
  const config = resolveConfig("microgpt", { n_embd: 256, n_head: 1, optimizer: "muon" });
  const layout = new ParameterLayout(dimsOf(config, 2));
  const optimizer = new CpuOptimizer(config, layout);
  const params = new Float64Array(layout.size).fill(0.5);
  const grads = Float64Array.from({ length: layout.size }, (_, i) => Math.sin(i));
  const work = optimizer.update(params, grads, 0, 1);
  for (let parts = 0; parts < 4; parts++) expect(work.next().done).toBe(false);
  work.return();
  const { m, v } = optimizer.moments;
  expect([params, m, v].map((values) => new Set(values).size)).toEqual([1, 1, 1]);
});
