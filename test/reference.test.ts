// The float64 reference: microgpt.py's golden traces, and its gradients against finite differences.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { dimsOf, initialParameters, parameterCount } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { matmulBackwardInput, matmulBackwardWeight, matmulForward } from "../src/reference/ops.ts";
import { batchAt, IGNORED, tokenizeDocuments } from "../src/text/batches.ts";

import names from "../src/text/names.txt?raw";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { Training } from "../src/training/train.ts";
import { expectGradients } from "./harness/finite_differences.ts";
import deep from "./golden/microgpt-deep.json" with { type: "json" };
import golden from "./golden/microgpt-names.json" with { type: "json" };

const traces = [
  { name: "names", trace: golden },
  { name: "deep", trace: deep },
];
const documents = names.trimEnd().split("\n");

function setUp({
  config: { n_layer, n_embd, block_size, n_head, num_steps },
}: typeof golden | typeof deep) {
  const config = resolveConfig("microgpt", { n_layer, n_embd, block_size, n_head, num_steps });
  const random = new PythonRandom(config.seed);
  const shuffled = [...documents];
  random.shuffle(shuffled);
  const tokenizer = CharTokenizer.fromDocuments(shuffled);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const params = initialParameters(config, dims, random);
  const sequences = tokenizeDocuments(shuffled, tokenizer, block_size);
  return { config, dims, params, sequences, shuffled, tokenizer };
}

const furthest = (found: ArrayLike<number>, expected: number[]) => {
  expect(found.length).toBe(expected.length);
  return Math.max(...expected.map((x, i) => Math.abs(found[i] - x)));
};

test.each(traces)(
  "documents, vocabulary and initial weights are microgpt.py's: $name",
  ({ trace }) => {
    const { shuffled, tokenizer, params, dims } = setUp(trace);
    expect(shuffled.slice(0, 10)).toEqual(trace.first_docs);
    expect(tokenizer.chars.join("")).toBe(trace.vocab);
    expect(tokenizer.bos).toBe(trace.bos);
    expect(parameterCount(dims)).toBe(trace.init.length);
    expect(furthest(params, trace.init)).toBeLessThan(1e-12);
  },
);

test.each(traces)("the first step's gradients are microgpt.py's: $name", ({ trace }) => {
  const { config, dims, params, sequences } = setUp(trace);
  const gpt = new ReferenceGpt(config, dims, params);
  const batch = batchAt(sequences, 0, 1);
  gpt.forward(batch);
  gpt.loss(batch);
  gpt.backward(batch);
  expect(furthest(gpt.grads, trace.grads_step1)).toBeLessThan(1e-12);
});

test.each(traces)("every loss and sample is microgpt.py's: $name", async ({ trace }) => {
  const { config } = setUp(trace);
  const training = await Training.open({ config, documents, device: "cpu" });
  const losses: number[] = [];
  for await (const { loss } of training.steps()) losses.push(loss);
  expect(furthest(losses, trace.losses)).toBeLessThan(1e-9);
  const samples: string[] = [];
  for await (const { text } of training.samples()) samples.push(text);
  expect(samples).toEqual(trace.samples);
});

test("the weights after 1000 steps are microgpt.py's", async () => {
  const { config, dims, params, sequences } = setUp(golden);
  const trainer = new CpuTrainer(config, dims, params, sequences);
  for await (const _ of trainer.run(1000));
  expect(furthest(params, golden.params_final)).toBeLessThan(1e-9);
});

test("products are the sums that they are defined by, at every size around a tile's", () => {
  const random = new PythonRandom(5);
  const numbers = (size: number) => new Float64Array(size).map(() => random.gauss(0, 1));
  const sizes = [1, 2, 3, 4, 5, 7, 8];
  for (const [N, C, OC] of sizes.flatMap((N) =>
    sizes.flatMap((C) => sizes.map((OC) => [N, C, OC])),
  )) {
    const [inp, weight, dout] = [numbers(N * C), numbers(OC * C), numbers(N * OC)];
    const [out, dinp, dweight] = [numbers(N * OC), numbers(N * C), numbers(OC * C)];
    const first = N >> 1;
    matmulForward(out, inp, weight, { N, C, OC });
    matmulBackwardInput(dinp, dout, weight, { N, C, OC });
    matmulBackwardWeight(dweight, dout, inp, { first, end: N, C, OC });
    for (let n = 0; n < N; n++) {
      for (let o = 0; o < OC; o++) {
        for (let c = 0; c < C; c++) {
          out[n * OC + o] -= inp[n * C + c] * weight[o * C + c];
          dinp[n * C + c] -= dout[n * OC + o] * weight[o * C + c];
          if (n >= first) dweight[o * C + c] -= dout[n * OC + o] * inp[n * C + c];
        }
      }
    }
    const left = Math.max(...[...out, ...dinp, ...dweight].map(Math.abs));
    expect(left, `N ${N}, C ${C}, OC ${OC}`).toBeLessThan(1e-13);
  }
});

test.each<Config["activation"]>(["relu", "relu_squared"])(
  "gradients agree with finite differences: %s",
  (activation) => {
    const shape = { block_size: 5, n_embd: 6, n_head: 2, n_layer: 2 };
    const config = resolveConfig("microgpt", { ...shape, activation, init_std: 0.5 });
    const dims = dimsOf(config, 7);
    const random = new PythonRandom(3);
    const params = initialParameters(config, dims, random);
    const gpt = new ReferenceGpt(config, dims, params);
    const batch = {
      B: 2,
      T: 5,
      inputs: Int32Array.from([6, 1, 2, 3, 0, 6, 5, 5, 0, 0]),
      targets: Int32Array.from([1, 2, 3, 0, 6, 5, 5, 6, IGNORED, IGNORED]),
      num_targets: 8,
    };
    const grads = expectGradients(gpt, batch);
    expect(grads.some((g) => Math.abs(g) > 1e-2)).toBe(true);
  },
);
