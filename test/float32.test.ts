// Why a thousand losses of microgpt in float32 are within 1e-5 of those in float64, and what it takes to leave that:
// runs in float64 with noise as float32 makes it, the parity tests' bound in mind.

import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { biasCorrections, learningRate } from "../src/model/optimizer.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { adamw } from "../src/reference/ops.ts";
import { batchAt, tokenizeDocuments } from "../src/text/batches.ts";
import names from "../src/text/names.txt?raw";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import golden from "./golden/microgpt-names.json" with { type: "json" };

/** Of the parity tests. */
const BOUND = 1e-5;
/** Half of float32's distance from 1 to the next number. */
const U = 2 ** -24;
/**
 * In every step each parameter is off by up to u of itself, as it is stored, and each gradient by up to 8 u of its
 * tensor's largest: WGSL grants exp 3 units in the last place and more, a division 2.5, and they meet in sums.
 */
const GRADIENT_NOISE = 8;

/** Losses of the golden run with noise of such a unit, and for each step which units relu shuts at which positions. */
function run(u: number): { losses: number[]; shut: string[] } {
  const config = resolveConfig("microgpt");
  const random = new PythonRandom(config.seed);
  const documents = names.trimEnd().split("\n");
  random.shuffle(documents);
  const tokenizer = CharTokenizer.fromDocuments(documents);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const params = initialParameters(config, dims, random);
  const sequences = tokenizeDocuments(documents, tokenizer, config.block_size);
  const gpt = new ReferenceGpt(config, dims, params);
  const { grads, layout } = gpt;
  const size = params.length;
  const [m, v] = [new Float64Array(size), new Float64Array(size)];
  const noise = new PythonRandom(7);
  const error = () => (2 * noise.random() - 1) * u;
  const losses: number[] = [];
  const shut: string[] = [];
  for (let step = 0; step < config.num_steps; step++) {
    const batch = batchAt(sequences, step, config.batch_size);
    gpt.forward(batch);
    losses.push(gpt.loss(batch));
    gpt.backward(batch);
    shut.push(
      activationsOf(gpt, batch.B * batch.T)
        .map((x) => Number(x === 0))
        .join(""),
    );
    for (const slice of layout.slices) {
      const part = grads.subarray(slice.offset, slice.offset + slice.size);
      const largest = part.reduce((most, gradient) => Math.max(most, Math.abs(gradient)), 0);
      part.forEach((gradient, i) => {
        if (gradient !== 0) part[i] += error() * GRADIENT_NOISE * largest;
      });
    }
    adamw(params, m, v, grads, {
      size,
      lr: learningRate(config, step),
      beta1: config.beta1,
      beta2: config.beta2,
      epsilon: config.epsilon,
      weight_decay: config.weight_decay,
      ...biasCorrections(config, step),
      clip: 1,
    });
    for (let i = 0; i < size; i++) params[i] *= 1 + error();
  }
  return { losses, shut };
}

/** Behind the first layer's relu, (N, 4C). */
function activationsOf(gpt: ReferenceGpt, N: number): number[] {
  const { a } = gpt as unknown as { a: { layers: { act: Float64Array }[] } };
  return [...a.layers[0].act.subarray(0, N * 4 * gpt.dims.C)];
}

const clean = run(0);
const drift = ({ losses }: typeof clean) =>
  losses.reduce((most, loss, i) => Math.max(most, Math.abs(loss - clean.losses[i])), 0);

test("the run without noise is microgpt.py's", () => {
  clean.losses.forEach((loss, i) => expect(Math.abs(loss - golden.losses[i])).toBeLessThan(1e-9));
});

test("float32's noise moves no loss by half the bound, and in proportion: nothing amplifies it", () => {
  const [float32, little] = [run(U), run(U * 2 ** -21)];
  expect(drift(float32)).toBeLessThan(BOUND / 2);
  expect(drift(float32)).toBeGreaterThan(BOUND / 20); // a tenth of the bound would be too tight
  expect(drift(little) * 2 ** 21).toBeGreaterThan(0.9 * drift(float32));
  expect(drift(little) * 2 ** 21).toBeLessThan(1.1 * drift(float32));
  expect(float32.shut).toEqual(clean.shut);
});

// Not Adam's small epsilon: where a unit stands so close to relu's edge that noise pushes it over, its gradient is
// there or is not, and from then on it is another run, a hundred bounds away within some steps.
test("what leaves the bound is a unit that crosses relu's edge", () => {
  const coarse = run(U * 16);
  const over = coarse.losses.findIndex((loss, i) => Math.abs(loss - clean.losses[i]) > 10 * BOUND);
  const crossed = coarse.shut.findIndex((shut, i) => shut !== clean.shut[i]);
  expect(over).toBeGreaterThan(0);
  expect(crossed).toBeGreaterThan(0);
  expect(crossed).toBeLessThan(over);
  expect(drift(coarse)).toBeGreaterThan(100 * BOUND);
});
