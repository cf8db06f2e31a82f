// Texts that one workgroup writes, each in one dispatch: those of the CPU, and golden samples of microgpt.py.

import { afterAll, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { createDecoder } from "../src/generation/choose_decoder.ts";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import type { Continuation, Decoder } from "../src/generation/decoder.ts";
import { GpuDecoder } from "../src/generation/gpu_decoder.ts";
import { generate } from "../src/generation/generate.ts";
import { type General, SmallDecoder } from "../src/generation/small_decoder.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { smallTuning } from "../src/small/ops.ts";
import names from "../src/text/names.txt?raw";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { Training } from "../src/training/train.ts";
import { relativeError } from "../src/verify/compare.ts";
import { device } from "./harness/device.ts";
import golden from "./golden/microgpt-names.json" with { type: "json" };

const V = 27;
const open: Decoder[] = [];
afterAll(() => open.forEach((decoder) => decoder.destroy()));

async function setUp(overrides: Partial<Config> = {}) {
  const config = resolveConfig("microgpt", { init_std: 0.3, ...overrides });
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(3));
  const small = await createDecoder(device, config, dims, params);
  open.push(small);
  return { config, dims, params, small, cpu: new CpuDecoder(config, dims, params) };
}

const continuation = (seed: number, more: Partial<Continuation> = {}): Continuation => ({
  tokens: [26],
  temperature: 1,
  never: [],
  seen: [],
  ends: [26],
  max_tokens: 16,
  keeps_first: true,
  random: new PythonRandom(seed),
  logits: false,
  ...more,
});

async function decoded(decoder: Decoder, asked: Continuation) {
  const ids: number[] = [];
  const logits: number[][] = [];
  for await (const token of decoder.decode(asked)) {
    ids.push(token.id);
    if (asked.logits) logits.push(Array.from(token.logits!));
  }
  return { ids, logits, next: asked.random.random() };
}

const asked: [string, Partial<Continuation>][] = [
  ["as microgpt's are", { temperature: 0.5 }],
  ["the likeliest", { temperature: 0 }],
  ["at any temperature", { temperature: 1e300 }],
  ["next to none", { temperature: 1e-300 }],
  ["a prompt, and few tokens", { tokens: [26, 3, 1, 20, 8], max_tokens: 4 }],
  ["up to the last position", { tokens: [26, 3, 1, 20, 8], max_tokens: 12, ends: [] }],
  ["biased, some of them never", { logit_bias: { 4: 2, 9: -1e300, 26: 1 }, never: [0, 1, 2, 5] }],
  ["several ends", { ends: [26, 7, 8, 9] }],
];

const shared = setUp();

test.each(asked)("tokens and the numbers that they take are the CPU's: %s", async (_, more) => {
  const { small, cpu } = await shared;
  for (let seed = 1; seed <= 8; seed++) {
    const wanted = await decoded(cpu, continuation(seed, more));
    expect(await decoded(small, continuation(seed, more))).toEqual(wanted);
  }
});

test("logits are told where they are asked for, and scores", async () => {
  const { small, cpu } = await shared;
  const more = { logits: true, tokens: [26, 4, 5] };
  const [found, wanted] = [
    await decoded(small, continuation(2, { ...more, max_tokens: 14 })),
    await decoded(cpu, continuation(2, { ...more, max_tokens: 14 })),
  ];
  expect(found.ids).toEqual(wanted.ids);
  expect(relativeError(Float32Array.from(found.logits.flat()), wanted.logits.flat())).toBeLessThan(
    1e-5,
  );
  const tokens = Array.from({ length: 16 }, (_, i) => (i * 7) % V);
  const rows = async (decoder: Decoder) => {
    const all: number[] = [];
    for await (const row of decoder.score(tokens)) all.push(...Array.from(row));
    return all;
  };
  const scores = await rows(small);
  expect(scores).toHaveLength(16 * V);
  expect(relativeError(Float32Array.from(scores), await rows(cpu))).toBeLessThan(1e-5);
  const stopped = small.score(tokens, AbortSignal.abort());
  expect(await stopped.next()).toEqual({ done: true, value: undefined });
});

test("texts that are asked for together are those of each alone", async () => {
  const { small, cpu } = await shared;
  const seeds = Array.from({ length: small.num_slots + 5 }, (_, i) => i + 1);
  const of = (seed: number) => continuation(seed, { tokens: [26, seed % 26], max_tokens: 10 });
  const together = await Promise.all(seeds.map((seed) => decoded(small, of(seed))));
  for (const [i, seed] of seeds.entries()) {
    expect(together[i]).toEqual(await decoded(cpu, of(seed)));
  }
});

test("a token that is not told has taken no number, and once aborted none is told", async () => {
  const { small } = await shared;
  const stop = new AbortController();
  const asked = continuation(1, { ends: [], signal: stop.signal });
  const ids: number[] = [];
  for await (const { id } of small.decode(asked)) {
    ids.push(id);
    if (ids.length === 3) stop.abort();
  }
  expect(ids).toHaveLength(3);
  const expected = new PythonRandom(1);
  for (let i = 0; i < 3; i++) expected.random();
  expect(asked.random.random()).toBe(expected.random());
});

test("what the kernel cannot write goes the general way, once that is needed", async () => {
  const { config, dims, params, cpu } = await shared;
  let made = 0;
  const tuning = smallTuning(device, dims)!;
  const small = await SmallDecoder.fromValues(device, config, dims, params, tuning);
  open.push(small);
  const { general } = small as unknown as { general: General };
  const { get } = general;
  general.get = () => {
    made++;
    return get();
  };
  await decoded(small, continuation(1));
  expect(made).toBe(0);
  const others: Partial<Continuation>[] = [
    { top_k: 3 },
    { top_p: 0.5 },
    { min_p: 0.1 },
    { repetition_penalty: 2 },
    { max_tokens: 17, ends: [] },
  ];
  for (const [i, more] of others.entries()) {
    const wanted = await decoded(cpu, continuation(5, more));
    expect((await decoded(small, continuation(5, more))).ids).toEqual(wanted.ids);
    expect(made).toBe(i + 1);
  }
});

test("it serves models like microgpt that fit a workgroup, and no others", async () => {
  for (const [overrides, decoder] of [
    [{ n_layer: 2, n_embd: 12, n_head: 3, activation: "relu_squared" }, SmallDecoder],
    [{ n_embd: 8, n_head: 2, final_norm: true }, GpuDecoder],
    [{ n_embd: 128, block_size: 64 }, GpuDecoder],
  ] as const) {
    const { small } = await setUp(overrides);
    expect(small).toBeInstanceOf(decoder);
  }
  const { config, dims, params } = await shared;
  expect(await createDecoder(undefined, config, dims, params)).toBeInstanceOf(CpuDecoder);
});

test("microgpt.py's samples come of its weights, on its stream of random numbers", async () => {
  const config = resolveConfig("microgpt");
  const random = new PythonRandom(config.seed);
  const documents = names.trimEnd().split("\n");
  random.shuffle(documents);
  const tokenizer = CharTokenizer.fromDocuments(documents);
  const dims = dimsOf(config, tokenizer.vocab_size);
  initialParameters(config, dims, random);
  const decoder = await createDecoder(device, config, dims, Float64Array.from(golden.params_final));
  open.push(decoder);
  expect(decoder).toBeInstanceOf(SmallDecoder);
  const decode = (continuation: Continuation) => decoder.decode(continuation);
  const samples: string[] = [];
  for await (const { text } of generate({ ...config, tokenizer, random, decode }))
    samples.push(text);
  expect(samples).toEqual(golden.samples);
});

test.each([0, 3])("a run's texts follow its parameters (top_k %i)", async (top_k) => {
  const sizes = { n_embd: 8, n_head: 2, block_size: 8, batch_size: 1 };
  const settings = { num_steps: 40, sample_every: 20, num_samples: 3, learning_rate: 0.05 };
  const config = resolveConfig("microgpt", { ...sizes, ...settings, temperature: 1, top_k });
  const documents = ["anna", "otto", "hannah", "bob"];
  const runs = (["cpu", "webgpu"] as const).map(async (device) => {
    const training = await Training.open({ config, documents, device });
    const texts: string[] = [];
    for await (const event of training.run()) if (event.type === "look") texts.push(event.text);
    for await (const { text } of training.samples()) texts.push(text);
    training.close();
    return texts;
  });
  const [cpu, gpu] = await Promise.all(runs);
  expect(gpu).toHaveLength(6);
  expect(gpu).toEqual(cpu);
});
