// Dropout: which elements a step leaves out, the same for whoever asks.

import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { dropped, DropoutWords, threshold } from "../src/model/dropout.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { philox, words } from "../src/philox.ts";
import { PythonRandom } from "../src/random.ts";
import { dropout, dropoutResidual } from "../src/reference/dropout.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { batchAt } from "../src/text/batches.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";

const SEED = 2 ** 40 + 42;
const STEP = 2 ** 33 + 7;
const key = { seed: SEED, step: STEP, tensor: dropped.mlp(1) };
const ones = (size: number) => new Float64Array(size).fill(1);

test("a word is Philox's at the counter (element / 4, 1 + tensor, step), by the seed", () => {
  const found = new DropoutWords(key);
  for (const element of [0, 1, 3, 4, 5, 1023, 2 ** 33 + 2, 1]) {
    const counter = [Math.floor(element / 4) % 2 ** 32, 1 + 4, ...words(STEP)] as const;
    expect(found.at(element)).toBe(philox([...counter], words(SEED))[element % 4]);
  }
  expect(words(SEED)).toEqual([42, 256]);
  expect([dropped.embedding, dropped.attention(0), dropped.mlp(0), dropped.attention(1)]).toEqual([
    0, 1, 2, 3,
  ]);
});

test("as many are left out as was asked for, the others grow by as much", () => {
  const sizes = { B: 8, T: 50, C: 50, context: 50, row: 0 };
  for (const part of [0.1, 0.5, 0.9]) {
    const out = ones(8 * 50 * 50);
    dropout(out, out, key, { ...sizes, dropout: part });
    const kept = out.filter((x) => x > 0);
    expect(new Set(kept)).toEqual(new Set([1 / (1 - part)]));
    expect(1 - kept.length / out.length).toBeCloseTo(part, 1.5);
    expect(out.reduce((sum, x) => sum + x, 0) / out.length).toBeCloseTo(1, 1);
  }
  expect(threshold(0.5)).toBe(2 ** 31);
});

test("what a block adds to the residual stream is left out, the stream is not", () => {
  const sizes = { B: 2, T: 5, C: 5, context: 5, row: 0, dropout: 0.5 };
  const [plain, out] = [ones(50), ones(50)];
  dropout(plain, plain, key, sizes);
  dropoutResidual(out, ones(50).fill(3), key, sizes);
  expect(out).toEqual(plain.map((x) => 3 + x));
  expect(new Set(out)).toEqual(new Set([3, 5]));
});

test("another seed, step or tensor leaves out others", () => {
  const of = (other: object) => {
    const out = ones(400);
    const sizes = { B: 1, T: 20, C: 20, context: 20, row: 0, dropout: 0.5 };
    dropout(out, out, { ...key, ...other }, sizes);
    return out.join();
  };
  expect(of({})).toBe(of({}));
  const all = [{}, { seed: 1 }, { step: 1 }, { tensor: 0 }].map(of);
  expect(new Set(all).size).toBe(4);
});

test("a batch in parts, or of shorter rows, leaves out what it leaves out as one", () => {
  const [T, C, context] = [5, 3, 7];
  const sizes = { T, C, context, dropout: 0.5 };
  const whole = ones(4 * T * C);
  dropout(whole, whole, key, { ...sizes, B: 4, row: 0 });
  const parts = [0, 1, 3].map((row, i, rows) => {
    const B = (rows[i + 1] ?? 4) - row;
    const out = ones(B * T * C);
    dropout(out, out, key, { ...sizes, B, row });
    return [...out];
  });
  expect(parts.flat()).toEqual([...whole]);
  const short = ones(4 * 2 * C);
  dropout(short, short, key, { ...sizes, B: 4, T: 2, row: 0 });
  for (let b = 0; b < 4; b++) {
    expect(short.slice(b * 2 * C, (b + 1) * 2 * C)).toEqual(
      whole.slice(b * T * C, (b * T + 2) * C),
    );
  }
});

const config = resolveConfig("microgpt", { n_layer: 2, dropout: 0.3, batch_size: 3, num_steps: 6 });
const dims = dimsOf(config, 27);
const documents = Array.from({ length: 5 }, (_, d) =>
  Int32Array.from({ length: 6 + d }, (_, i) => (i * (d + 3)) % 27),
);
const params = () => initialParameters(config, dims, new PythonRandom(1));

test("a training step leaves out, each step others, and a forward pass by itself nothing", () => {
  const gpt = new ReferenceGpt(config, dims, params());
  const plain = new ReferenceGpt({ ...config, dropout: 0 }, dims, params());
  const batch = batchAt(documents, 0, 3);
  const logits = (step?: number) =>
    gpt.forward(batch, step === undefined ? undefined : { step }).slice();
  expect(logits()).toEqual(plain.forward(batch).slice());
  expect(logits(0)).not.toEqual(logits());
  expect(logits(0)).not.toEqual(logits(1));
  expect(logits(1)).toEqual(logits(1));
});

test("a run that is resumed leaves out what it would have left out, and validates with all", async () => {
  const lossesOf = async (trainer: CpuTrainer, until: number) => {
    const losses: number[] = [];
    for await (const { loss } of trainer.run(until)) losses.push(loss);
    return losses;
  };
  const one = new CpuTrainer(config, dims, params(), documents);
  const all = await lossesOf(one, 6);
  const before = new CpuTrainer(config, dims, params(), documents);
  await lossesOf(before, 3);
  const after = new CpuTrainer(config, dims, params(), documents);
  after.restore(await before.state());
  expect(await lossesOf(after, 6)).toEqual(all.slice(3));
  expect((await after.parameters()).values).toEqual((await one.parameters()).values);

  const trained = (await one.parameters()).values as Float64Array;
  const plain = new CpuTrainer({ ...config, dropout: 0 }, dims, trained.slice(), documents);
  expect(await one.evaluate(documents)).toBe(await plain.evaluate(documents));
  const texts = [one, plain].map((trainer) => {
    const random = new PythonRandom(1);
    const start = { tokens: [1, 2], seen: [], never: [], ends: [], random };
    const how = { temperature: 1, max_tokens: 1, keeps_first: true, logits: true };
    return trainer.decode({ ...start, ...how }).next();
  });
  expect(await texts[0]).toEqual(await texts[1]);
});
