// Texts join and leave the GPU's batch: whoever waits gets the place of whoever goes, and nobody keeps one that he does
// not use.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { Meter } from "../src/device/meter.ts";
import { GpuError } from "../src/errors.ts";
import type { Continuation, DecodedToken } from "../src/generation/decoder.ts";
import { GpuDecoder } from "../src/generation/gpu_decoder.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { MOST_STEPS } from "../src/model/text_plan.ts";
import { PythonRandom } from "../src/random.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { continuationOf } from "./harness/decode.ts";
import { device } from "./harness/device.ts";

const V = 29;
const shape: Partial<Config> = {
  n_layer: 2,
  n_embd: 12,
  n_head: 3,
  block_size: 16,
  init_std: 0.6,
  position: "rope",
};

async function open(num_slots: number, on: Device = device) {
  const config = resolveConfig("microgpt", shape);
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(3));
  return GpuDecoder.fromValues(on, config, dims, params, { num_slots });
}

const texts = (i: number, more: Partial<Continuation> = {}) =>
  continuationOf(
    Array.from({ length: 1 + (i % 7) }, (_, t) => (t * i + i) % V),
    { random: new PythonRandom(i), max_tokens: 100, ...more },
  );

async function idsOf(tokens: AsyncGenerator<DecodedToken>, most = Infinity): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of tokens) {
    ids.push(id);
    if (ids.length === most) break;
  }
  return ids;
}

test("more texts than slots have their turn, in order, and the tokens that they have alone", async () => {
  const decoder = await open(3);
  const ended: number[] = [];
  const many = Array.from({ length: 12 }, (_, i) => i);
  const all = await Promise.all(
    many.map(async (i) => {
      const ids = await idsOf(decoder.decode(texts(i, { max_tokens: 20 })));
      ended.push(i);
      return ids;
    }),
  );
  expect(ended).toEqual(many);
  for (const i of many) {
    expect(await idsOf(decoder.decode(texts(i, { max_tokens: 20 })))).toEqual(all[i]);
  }
  decoder.destroy();
});

test("who goes makes room, whether he returns or is stopped, as does who has not begun", async () => {
  const decoder = await open(1);
  const whole = await idsOf(decoder.decode(texts(5)));
  const stop = new AbortController();
  const endless = { max_tokens: 1e9 };
  const stopped = idsOf(decoder.decode(texts(1, { ...endless, signal: stop.signal })));
  const waiting = idsOf(decoder.decode(texts(2, { ...endless, signal: stop.signal })));
  const next = idsOf(decoder.decode(texts(3, endless)), 10); // returns early
  const last = idsOf(decoder.decode(texts(5)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  stop.abort();
  expect((await stopped).length).toBeGreaterThan(0);
  expect(await waiting).toEqual([]);
  expect(await next).toHaveLength(10);
  expect(await last).toEqual(whole);
  decoder.destroy();
});

test("a text takes as many random numbers as it told tokens, and an aborted one tells none", async () => {
  const decoder = await open(2);
  const random = new PythonRandom(9);
  await idsOf(decoder.decode(texts(4, { random })), 7);
  const other = new PythonRandom(9);
  for (let i = 0; i < 7; i++) other.random();
  expect(random.random()).toBe(other.random());

  const stop = new AbortController();
  const tokens = decoder.decode(texts(4, { random, signal: stop.signal }));
  await tokens.next();
  other.random();
  stop.abort(); // others are drawn already
  expect(await tokens.next()).toEqual({ done: true, value: undefined });
  expect(random.random()).toBe(other.random());
  decoder.destroy();
});

test.each([false, true])(
  "who is not pulled makes room, and goes on later with the very same tokens (logits: %s)",
  async (logits) => {
    const decoder = await open(2);
    const long = (i: number) => texts(i, { max_tokens: 300, logits, repetition_penalty: 1.2 });
    const alone = [];
    for (const i of [1, 2, 3, 4]) alone.push(await idsOf(decoder.decode(long(i))));
    const held = [1, 2].map((i) => decoder.decode(long(i)));
    const begun = await Promise.all(held.map((tokens) => idsOf2(tokens, 3)));
    // Both have filled what is drawn ahead of them, and are pulled no more.
    const others = await Promise.all([3, 4].map((i) => idsOf(decoder.decode(long(i)))));
    expect(others).toEqual(alone.slice(2));
    const rest = await Promise.all(held.map((tokens) => idsOf(tokens)));
    expect(begun.map((ids, i) => [...ids, ...rest[i]])).toEqual(alone.slice(0, 2));
    decoder.destroy();
  },
);

/** Some tokens, without the return that ends a loop. */
async function idsOf2(tokens: AsyncGenerator<DecodedToken>, count: number): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < count) ids.push((await tokens.next()).value!.id);
  return ids;
}

test("scoring and writing go side by side", async () => {
  const decoder = await open(2);
  const tokens = Array.from({ length: 16 }, (_, i) => (i * i) % V);
  const score = async () => {
    const rows: number[][] = [];
    for await (const row of decoder.score(tokens)) rows.push([...row]);
    return rows;
  };
  const [rows, ids] = [await score(), await idsOf(decoder.decode(texts(1)))];
  expect(rows).toHaveLength(16);
  const together = await Promise.all([
    score(),
    idsOf(decoder.decode(texts(1))),
    score(),
    idsOf(decoder.decode(texts(1))),
  ]);
  expect(together).toEqual([rows, ids, rows, ids]);
  decoder.destroy();
});

test("destroying ends all texts, those that wait too, and gives all memory back", async () => {
  const meter = new Meter(device);
  const decoder = await open(2);
  const running = [1, 2, 3, 4].map((i) => idsOf(decoder.decode(texts(i, { max_tokens: 1e9 }))));
  await new Promise((resolve) => setTimeout(resolve, 30));
  decoder.destroy();
  await Promise.all(running);
  expect(await idsOf(decoder.decode(texts(1)))).toEqual([]);
  await device.idle();
  await new Promise((resolve) => setTimeout(resolve, 100));
  meter.stop();
  expect(meter.bytes).toBe(0);
  device.check();
});

test("a text that comes while the decoder is about to rest is written", async () => {
  const decoder = await open(2);
  for (let turns = 0; turns < 12; turns++) {
    const second = Promise.withResolvers<number[]>();
    const come = async () => {
      for (let turn = 0; turn < turns; turn++) await undefined; // microtasks
      second.resolve(idsOf(decoder.decode(texts(2, { max_tokens: 2 }))));
    };
    // Asked as soon as the last token is there.
    const ends = Object.assign([], { includes: () => (void come(), true) });
    await idsOf(decoder.decode(texts(1, { ends })));
    expect(await second.promise).toHaveLength(2);
  }
  decoder.destroy();
});

/** The device with memory for the ids of so many slots. */
function withRoomFor(slots: number): Device {
  const { gpu } = device;
  let failed = false;
  const replaced: Partial<GPUDevice> = {
    createBuffer(descriptor) {
      failed ||= descriptor.label === "ids" && descriptor.size > MOST_STEPS * slots * 4;
      return gpu.createBuffer(descriptor);
    },
    async popErrorScope() {
      const error = await gpu.popErrorScope();
      const out = failed;
      failed = false;
      return out ? { message: "out of memory" } : error;
    },
  };
  const small = new Proxy(gpu, {
    get(gpu, name) {
      const value: unknown = Reflect.get(Object.hasOwn(replaced, name) ? replaced : gpu, name);
      return typeof value === "function" ? value.bind(gpu) : value;
    },
  });
  return Object.create(device, { gpu: { value: small } });
}

test("there are as many slots as there is memory for, and of what there is not nothing is left", async () => {
  const meter = new Meter(device);
  const decoder = await open(13, withRoomFor(4));
  expect(decoder.num_slots).toBe(3);
  expect(await idsOf(decoder.decode(texts(5, { max_tokens: 9 })))).toHaveLength(9);
  decoder.destroy();
  await expect(open(13, withRoomFor(0))).rejects.toThrow("has not enough free memory");
  await new Promise((resolve) => setTimeout(resolve, 50));
  meter.stop();
  expect(meter.bytes).toBe(0);
});

test("if the device fails, every text is told so, those that wait too and those that come", async () => {
  let failing = false;
  const failed: Device = Object.create(device, {
    map: {
      value: (...args: Parameters<Device["map"]>) => {
        if (failing) throw new GpuError("The GPU was lost.");
        return device.map(...args);
      },
    },
  });
  const decoder = await open(2, failed);
  const running = [1, 2, 3, 4].map((i) =>
    idsOf(decoder.decode(texts(i, { max_tokens: 1e9 }))).catch((error: unknown) => error),
  );
  await new Promise((resolve) => setTimeout(resolve, 30));
  failing = true;
  for (const error of await Promise.all(running)) expect(error).toBeInstanceOf(GpuError);
  await expect(idsOf(decoder.decode(texts(1)))).rejects.toThrow("The GPU was lost.");
  await expect(decoder.score([1]).next()).rejects.toThrow("The GPU was lost.");
  decoder.destroy();
});

test("texts that are asked for at once share a trainer's decoder", async () => {
  const config = resolveConfig("microgpt", { ...shape, num_samples: 4 });
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(3));
  const meter = new Meter(device);
  const trainer = await GpuTrainer.create(device, config, dims, params, [Int32Array.of(1, 2, 3)]);
  const few = (i: number) => idsOf(trainer.decode(texts(i, { max_tokens: 9 })));
  const together = await Promise.all([1, 2, 3].map(few));
  expect(together).toEqual([await few(1), await few(2), await few(3)]);
  trainer.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  meter.stop();
  expect(meter.bytes).toBe(0); // of a second decoder nobody would know
});
