// Training runs from outside: stopping, pausing, diverging, choosing a device, and what one run reports.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { DivergedError, TensorTooLargeError } from "../src/errors.ts";
import { softmax } from "../src/generation/probabilities.ts";
import { batchAt, IGNORED, tokenizeDocuments } from "../src/text/batches.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { clipFactor } from "../src/reference/ops.ts";
import { biasCorrections, learningRate } from "../src/model/optimizer.ts";
import { Training } from "../src/training/train.ts";

const documents = ["anna", "bob", "carla", "dave", "a-name-longer-than-the-context"];
const devices = ["cpu", "webgpu"] as const;

const open = (device: (typeof devices)[number], overrides: Partial<Config> = {}) =>
  Training.open({ config: resolveConfig("microgpt", overrides), documents, device });

test.each(devices)("a start event tells what is trained: %s", async (device) => {
  const training = await open(device);
  const { config, adapter, ...start } = training.start;
  expect(start).toEqual({
    type: "start",
    device,
    fallback: null,
    device_reason: null,
    num_docs: 5,
    num_val_docs: 0,
    num_tokens: 5 + 4 + 6 + 5 + 16,
    num_val_tokens: 0,
    format: "lines",
    format_reason: null,
    skipped: [],
    tokenizer: "char",
    tokenizer_reason: null,
    num_text_tokens: 46,
    num_chars: 46,
    num_bytes: 46,
    num_unknown: 0,
    num_truncated: 1,
    num_unread: 14,
    fitting_block_size: 32,
    notes: [expect.stringContaining("can only be learnt by heart")],
    vocab_size: 17,
    num_params: (2 * 17 + 16) * 16 + 12 * 16 * 16,
    num_trained: (2 * 17 + 16) * 16 + 12 * 16 * 16,
    dtype_reason: null,
    batch_reason: null,
    kernels: null, // a small model's trainer and the CPU have no choice
    resumed_from: null,
    differences: [],
  });
  expect(config.n_embd).toBe(16);
  expect(adapter === null).toBe(device === "cpu");
  training.close();
});

test.each(devices)(
  "an aborted run ends early and its model is as old as it says: %s",
  async (device) => {
    const stop = new AbortController();
    const training = await open(device, { num_steps: 100_000 });
    let last = 0;
    for await (const { step } of training.steps(stop.signal)) {
      expect(step).toBe(last + 1);
      last = step;
      if (step === 30) stop.abort();
    }
    expect(last).toBeGreaterThanOrEqual(30);
    expect(last).toBeLessThan(100_000);
    const model = await training.model();
    expect(model.step).toBe(last);
    training.close();

    const again = await open(device, { num_steps: 100_000 });
    for await (const { step } of again.steps()) if (step === last) break;
    // Steps in flight when the loop was left are finished before the model is read.
    expect((await again.model()).step).toBeGreaterThanOrEqual(last);
    again.close();
  },
);

test.each(devices)("a look at samples in between does not change the run: %s", async (device) => {
  const run = async (looks: boolean) => {
    const training = await open(device, { num_steps: 25, num_samples: 3 });
    const seen: unknown[] = [];
    for await (const { step, loss } of training.steps()) {
      seen.push(loss);
      if (looks && step % 10 === 0) for await (const _ of training.preview(2));
    }
    for await (const { text } of training.samples()) seen.push(text);
    training.close();
    return seen;
  };
  expect(await run(true)).toEqual(await run(false));
});

test.each(devices)("a diverging run stops with a sentence: %s", async (device) => {
  const training = await open(device, { learning_rate: 1e30, num_steps: 50 });
  const run = async () => {
    for await (const { loss } of training.steps()) expect(loss).not.toBeNaN();
  };
  await expect(run()).rejects.toThrow(DivergedError);
  training.close();
});

test("gradient clipping changes a GPU run as it changes the reference's", async () => {
  const losses = async (device: "cpu" | "webgpu", grad_clip: number) => {
    const training = await open(device, { grad_clip, num_steps: 20, batch_size: 2 });
    const all: number[] = [];
    for await (const { loss } of training.steps()) all.push(loss);
    training.close();
    return all;
  };
  const [gpu, cpu, unclipped] = await Promise.all([
    losses("webgpu", 0.3),
    losses("cpu", 0.3),
    losses("cpu", 0),
  ]);
  gpu.forEach((loss, i) => expect(Math.abs(loss - cpu[i])).toBeLessThan(1e-5));
  expect(Math.abs(cpu[19] - unclipped[19])).toBeGreaterThan(1e-4);
});

test("the learning rate falls as its schedule says", () => {
  const at = (lr_schedule: Config["lr_schedule"], step: number) =>
    learningRate(resolveConfig("microgpt", { lr_schedule, num_steps: 100 }), step);
  expect([0, 50, 99].map((step) => at("linear", step))).toEqual([0.01, 0.005, 0.01 * (1 - 0.99)]);
  expect(at("cosine", 50)).toBeCloseTo(0.005, 12);
  expect(at("cosine", 25)).toBeCloseTo(0.005 * (1 + Math.SQRT1_2), 12);
  expect(at("constant", 99)).toBe(0.01);
  const { correction1, correction2 } = biasCorrections(resolveConfig("microgpt"), 0);
  expect([correction1, correction2]).toEqual([1 / (1 - 0.85), 1 / (1 - 0.99)]);
});

test("clipping brings the norm down to its bound and leaves smaller ones alone", () => {
  expect(clipFactor(0, 5)).toBe(1);
  expect(clipFactor(1, 0.5)).toBe(1);
  expect(clipFactor(1, 4)).toBe(0.25);
});

test("batches wrap around, are padded to the longest and ignore the padding", () => {
  const tokenizer = new CharTokenizer(["a", "b"]);
  const sequences = tokenizeDocuments(["ab", "b", "abab"], tokenizer, 4);
  expect(sequences.map((s) => [...s])).toEqual([
    [2, 0, 1, 2],
    [2, 1, 2],
    [2, 0, 1, 0, 1],
  ]);
  expect(batchAt(sequences, 1, 2)).toEqual({
    B: 2,
    T: 4,
    inputs: Int32Array.from([2, 0, 1, 0, 2, 0, 1, 0]),
    targets: Int32Array.from([0, 1, 0, 1, 0, 1, 2, IGNORED]),
    num_targets: 7,
  });
  expect(batchAt(sequences, 1, 1, 6).targets).toEqual(Int32Array.from([1, 2, -1, -1, -1, -1]));
});

test("a lower temperature makes the likely likelier, and large logits do not overflow", () => {
  const [warm, cold] = [1, 0.5].map((t) => softmax([1, 2, 3], t));
  expect(cold[2]).toBeGreaterThan(warm[2]);
  expect([...softmax([1e4, -1e4], 0.01)]).toEqual([1, 0]);
});

test.each<Partial<Config>>([
  { n_embd: 2 ** 24, n_head: 1 },
  { n_layer: 2 ** 24 },
  { batch_size: 2 ** 24, block_size: 2 ** 10 },
  { block_size: 2 ** 24, n_embd: 1024 },
])("a model too large for memory is refused at once: %j", async (overrides) => {
  for (const device of devices) {
    const opening = open(device, overrides);
    await expect(opening).rejects.toThrow(TensorTooLargeError);
    await expect(opening).rejects.toThrow(/needs (about )?[\d,.]+ [GM]iB.*Choose a smaller batch/);
  }
});
