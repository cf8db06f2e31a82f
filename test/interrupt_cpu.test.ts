// Long work on the CPU: a signal is noticed in the midst of a step, and what is given up leaves no trace.

import { afterEach, expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { Breather } from "../src/platform/breather.ts";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import {
  activationBackward,
  activationForward,
  softcapForward,
} from "../src/reference/activations.ts";
import {
  attentionBackwardKv,
  attentionBackwardQ,
  attentionForward,
} from "../src/reference/attention.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import * as ops from "../src/reference/ops.ts";
import { endOf, firstOf, partsOf, type Part } from "../src/reference/parts.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { Training } from "../src/training/train.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Some seconds' work for a step. */
const large: Partial<Config> = { n_embd: 128, block_size: 128, batch_size: 32 };

function trainer(overrides: Partial<Config>, T: number) {
  const config = resolveConfig("microgpt", overrides);
  const dims = dimsOf(config, 7);
  const params = initialParameters(config, dims, new PythonRandom(3));
  const sequence = Int32Array.from({ length: T + 1 }, (_, t) => (t * 5) % 7);
  return { cpu: new CpuTrainer(config, dims, params, [sequence]), config, dims, params, sequence };
}

/** All that the next steps depend on. */
async function bits(cpu: CpuTrainer) {
  const { step, tokens, values, m, v } = await cpu.state();
  const arrays = [values, m, v].map((array) => Buffer.from(array.buffer).toString("base64"));
  return { step, tokens, arrays };
}

/** Aborts after some turns of the event loop, which get through only between parts. */
function soon(): AbortSignal {
  const stop = new AbortController();
  setTimeout(() => setTimeout(() => stop.abort(), 5), 5);
  return stop.signal;
}

test("a step is given up soon after the signal, and the state is that of the last whole step", async () => {
  const { cpu } = trainer(large, 128);
  const before = await bits(cpu);
  const steps: number[] = [];
  for await (const { step } of cpu.run(1, soon())) steps.push(step);
  expect(steps).toEqual([]);
  expect(await bits(cpu)).toEqual(before);
});

test("a run goes on from a step that was given up as if that had not been begun", async () => {
  const sizes = { n_embd: 64, block_size: 32, batch_size: 16, num_steps: 3 };
  const whole = trainer(sizes, 32).cpu;
  const wanted: number[] = [];
  for await (const { loss } of whole.run(3)) wanted.push(loss);

  const { cpu } = trainer(sizes, 32);
  const losses: number[] = [];
  for (let tries = 0; losses.length < 3; tries++) {
    const stop = new AbortController();
    // Aborted in the first step's midst, then in the second's, then not at all.
    if (tries < 2) setImmediate(() => stop.abort());
    for await (const { loss } of cpu.run(3, stop.signal)) losses.push(loss);
    expect(tries).toBeLessThan(3);
  }
  expect(losses).toEqual(wanted);
  expect(await bits(cpu)).toEqual(await bits(whole));
});

test("a validation and the scores of a long text are given up too", async () => {
  const { cpu, config, dims, params, sequence } = trainer(large, 128);
  const reason = { name: "AbortError" };
  await expect(cpu.evaluate([sequence], soon())).rejects.toMatchObject(reason);
  const deep = { ...dims, L: 1 };
  const decoder = new CpuDecoder(config, deep, params);
  const stop = AbortSignal.abort();
  expect(await decoder.score([...sequence], stop).next()).toEqual({ done: true, value: undefined });
  const { value } = await decoder.score([1, 2]).next();
  expect(value).toHaveLength(dims.V);
});

/** For a test, whenever it is asked the time a while has gone by: long work of which nothing takes long. */
function slowly(): void {
  let now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => (now += 1000));
}

/** Aborts in the first turn that the event loop gets. */
function inNextTurn(): AbortSignal {
  const stop = new AbortController();
  setImmediate(() => stop.abort());
  return stop.signal;
}

test("of many short pieces of work, each in one part, a signal gets through to the next", async () => {
  slowly();
  function* short(): Generator<void, void> {}
  const breather = new Breather();
  const signal = inNextTurn();
  const many = async () => {
    for (let i = 0; i < 100; i++) await breather.through(short(), signal);
  };
  await expect(many()).rejects.toMatchObject({ name: "AbortError" });
});

test("a validation with many short sequences is given up between them", async () => {
  const { cpu } = trainer({ val_fraction: 0.1 }, 1);
  const sequences = Array.from({ length: 1000 }, (_, i) => Int32Array.of(i % 7, 1));
  slowly();
  const givenUp = cpu.evaluate(sequences, inNextTurn());
  await expect(givenUp).rejects.toMatchObject({ name: "AbortError" });
  expect(await cpu.evaluate(sequences.slice(0, 3), new AbortController().signal)).toBeGreaterThan(
    0,
  );
});

test("the softcap of many logits has turns in it", () => {
  const turns = (logit_softcap: number) => {
    const config = resolveConfig("microgpt", { logit_softcap, block_size: 128 });
    const dims = dimsOf(config, 20_000);
    const params = new Float64Array(new ParameterLayout(dims).size);
    const gpt = new ReferenceGpt(config, dims, params);
    return [...gpt.forwardInParts({ B: 1, T: 128, inputs: new Int32Array(128) })].length;
  };
  expect(turns(15)).toBeGreaterThan(turns(0));
});

test("samples end quietly where their signal comes amid a token", async () => {
  const config = resolveConfig("microgpt", { ...large, num_steps: 1, format: "text" });
  const documents = ["abcdefg".repeat(40)];
  const training = await Training.open({ config, documents, device: "cpu" });
  const texts: string[] = [];
  for await (const { text } of training.samples(soon())) texts.push(text);
  expect(texts).toEqual([]);
});

test("parts hold every row once, in pairs", () => {
  for (const rows of [0, 1, 2, 3, 7, 8, 65, 129]) {
    for (const count of [1, 2, 3, 5, 40]) {
      const parts = Array.from({ length: count }, (_, index): Part => ({ index, count }));
      const bounds = parts.map((part) => [firstOf(rows, part), endOf(rows, part)]);
      expect(bounds[0][0]).toBe(0);
      expect(bounds.at(-1)![1]).toBe(rows);
      for (const [i, [first]] of bounds.slice(1).entries()) expect(first).toBe(bounds[i][1]);
      for (const [first, end] of bounds) {
        expect(first % 2).toBe(0);
        expect(rows > 1 && end - first === 1).toBe(false); // it would be made with a row of another part
      }
    }
  }
  expect(partsOf(1)).toHaveLength(1);
  expect(partsOf(1e9).length).toBeGreaterThan(10);
});

test.each([2, 3, 64])("an operation's parts are, bit for bit, the whole: %i parts", (count) => {
  const random = new PythonRandom(5);
  const values = (size: number) => Float64Array.from({ length: size }, () => random.gauss(0, 1));
  const [N, C, OC, V] = [13, 6, 9, 7];
  const [B, T, NH] = [3, 5, 2];
  const sizes = { N, C, OC };
  const inp = values(N * C);
  const weight = values(OC * C);
  const dout = values(N * OC);
  const x = values(N * OC);
  const qkv = values(B * T * 3 * C);
  const att = values(B * T * C);
  const datt = values(B * T * C);
  const stats = values(B * NH * T * 2).map((v) => Math.abs(v));
  const targets = Int32Array.from({ length: N }, (_, n) => (n % 4 === 0 ? -1 : n % V));
  const logits = values(N * V);
  const heads = { B, T, C, NH };
  const activation = "relu_squared";
  type Outputs = Float64Array[];
  type Operation = [number[], (out: Outputs, part?: Part) => void];
  const operations: Operation[] = [
    [[N * OC], ([o], p) => ops.matmulForward(o, inp, weight, sizes, p)],
    [[N * OC], ([o], p) => ops.matmulResidualForward(o, x, inp, weight, sizes, p)],
    [
      [N * OC],
      ([o], p) => ops.matmulActivationForward(o, inp, weight, { ...sizes, activation }, p),
    ],
    [[N * C, OC * C], ([d, w], p) => ops.matmulBackward(d, w, dout, inp, weight, sizes, p)],
    [
      [N * C, 2 * OC * C],
      ([d, w], p) =>
        ops.matmulActivationBackward(
          d,
          w,
          dout,
          inp.map(Math.abs),
          weight,
          { ...sizes, activation, splits: 2 },
          p,
        ),
    ],
    [
      [N, N * V],
      ([losses, l], p) => {
        if (p === undefined || p.index === 0) l.set(logits);
        ops.crossEntropy(losses, l, targets, { N, V, scale: 0.5 }, p);
      },
    ],
    [
      [N * V],
      ([l], p) => {
        if (p === undefined || p.index === 0) l.set(logits);
        softcapForward(l, { N, V, softcap: 2 }, p);
      },
    ],
    ...(["gelu", "swiglu"] as const).flatMap((activation): Operation[] => {
      const smooth = { N, H: OC, activation };
      const wide = activation === "swiglu" ? 2 * N * OC : N * OC;
      const pre = values(wide);
      return [
        [[N * OC], ([o], p) => activationForward(o, pre, smooth, p)],
        [[wide], ([d], p) => activationBackward(d, dout, pre, smooth, p)],
      ];
    }),
    [[B * T * C, B * NH * T * 2], ([o, s], p) => attentionForward(o, s, qkv, heads, p)],
    [
      [B * T * 3 * C, B * NH * T],
      ([d, delta], p) => attentionBackwardQ(d, delta, datt, att, qkv, stats, heads, p),
    ],
    [[B * T * 3 * C], ([d], p) => attentionBackwardKv(d, att, datt, qkv, stats, heads, p)],
  ];
  for (const [shapes, run] of operations) {
    const whole = shapes.map((size) => new Float64Array(size));
    const inParts = shapes.map((size) => new Float64Array(size));
    run(whole);
    for (let index = 0; index < count; index++) run(inParts, { index, count });
    expect(inParts).toEqual(whole);
  }
});
