// The choice of kernels by measurement: made once, remembered, told, and harmless where the memory is not.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platform } from "#platform";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { Kernels } from "../src/device/kernels.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { type ProductShape, type ProductVariant, productVariants } from "../src/model/product.ts";
import { PythonRandom } from "../src/random.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { fastest, timeProducts } from "../src/tuning/time_products.ts";
import { summaryOf, tune } from "../src/tuning/tune.ts";
import { device } from "./harness/device.ts";

const config = resolveConfig("microgpt", { n_embd: 16, batch_size: 3 });
const dims = dimsOf(config, 8);

/** The device as hardware: what is measured there is not what software GPUs take by rule. */
const hardware: Device = Object.create(device, {
  software: { value: false },
  lanes: { value: 32 },
});

let folder: string;
const file = () => join(folder, "kernels.json");
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "microgpt-tuning-"));
  vi.stubEnv("MICROGPT_CACHE_DIR", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** As if the variants took the less the later they come; counts how often it was asked. */
function stopwatch(order = (count: number, i: number) => count - i) {
  const time = async (_: Device, __: ProductShape, variants: readonly ProductVariant[]) => {
    clock.calls++;
    return Object.fromEntries(variants.map(({ name }, i) => [name, order(variants.length, i)]));
  };
  const clock = { calls: 0, time };
  return clock;
}

test("the fastest is chosen, remembered, and taken again without measuring", async () => {
  const clock = stopwatch();
  const seen: [number, number][] = [];
  const progress = (done: number, total: number) => seen.push([done, total]);
  const first = await tune(hardware, config, dims, { time: clock.time, progress });
  expect(clock.calls).toBe(first.choices.length);
  expect(seen.at(-1)).toEqual([clock.calls, clock.calls]);
  for (const { variant, by, ms } of first.choices) {
    expect(by).toBe("measurement");
    expect(variant).toBe(Object.keys(ms!).at(-1));
  }
  const again = await tune(hardware, config, dims, { time: clock.time });
  expect(clock.calls).toBe(first.choices.length);
  expect(again.id).toBe(first.id);
  expect(again.choices).toEqual(first.choices.map((choice) => ({ ...choice, by: "memory" })));
  expect(summaryOf(again)).toMatchObject({ rule: 0, measured: 0, remembered: clock.calls });

  const other = stopwatch((_, i) => i);
  const anew = await tune(hardware, config, dims, { time: other.time, mode: "measure" });
  expect(other.calls).toBe(clock.calls);
  expect(anew.id).not.toBe(first.id);
});

test("a choice is of a driver and of the kernels' text: with others a run may give other bits", async () => {
  const id = async (where: Device) => (await tune(where, config, dims, { mode: "off" })).id;
  const shaders = platform.shaders();
  const changed = new Kernels(device.gpu, { ...shaders, adamw: `${shaders.adamw}// changed` });
  const others: PropertyDescriptorMap[] = [
    { info: { value: { ...device.info, description: "another driver" } } },
    { kernels: { value: changed } },
  ];
  const same = await id(hardware);
  expect(await id(Object.create(hardware, {}))).toBe(same);
  for (const other of others) expect(await id(Object.create(hardware, other))).not.toBe(same);
});

test("without a measurement the rule chooses: on software GPUs, and where it is off", async () => {
  const clock = stopwatch();
  const off = await tune(hardware, config, dims, { time: clock.time, mode: "off" });
  if (device.software) await tune(device, config, dims, { time: clock.time });
  expect(clock.calls).toBe(0);
  expect(off.choices.every(({ by, ms }) => by === "rule" && ms === null)).toBe(true);
  expect(summaryOf(off)).toMatchObject({ rule: off.choices.length, measured: 0, forgotten: null });
});

test("an interrupted measurement keeps what it has; the rule chooses for the rest", async () => {
  const stop = new AbortController();
  const clock = stopwatch();
  const progress = (done: number) => {
    if (done === 2) stop.abort();
  };
  const { signal } = stop;
  const { choices } = await tune(hardware, config, dims, { time: clock.time, progress, signal });
  const by = choices.map((choice) => choice.by);
  expect(by.filter((reason) => reason === "measurement")).toHaveLength(3);
  expect(by.filter((reason) => reason === "rule")).toHaveLength(choices.length - 3);
  const again = await tune(hardware, config, dims, { time: clock.time });
  expect(clock.calls).toBe(choices.length);
  expect(again.choices.filter((choice) => choice.by === "memory")).toHaveLength(3);
});

const damaged: [string, (text: string) => string][] = [
  ["empty", () => ""],
  ["no JSON", (text) => text.slice(0, -20)],
  ["another format", (text) => text.replace('"format": 1', '"format": 2')],
  ["no adapters", () => '{"format": 1, "adapters": [3]}'],
  ["a list of shapes", (text) => text.replace(/: \{\n {3}"/, ': [], "": {"')],
  ["times that are none", (text) => text.replaceAll(/: \d+(,?)$/gm, ': "fast"$1')],
  ["unknown kernels", (text) => text.replaceAll("matmul", "mulmat")],
  ["other kernels' text", (text) => text.replaceAll("; kernels ", "; kernels 0")],
  ["a prototype", () => '{"format": 1, "adapters": {"__proto__": {"x": {"y": 1}}}}'],
];

test.each(damaged)("a memory that is damaged or stale is measured anew: %s", async (_, damage) => {
  const clock = stopwatch();
  const { id, choices } = await tune(hardware, config, dims, { time: clock.time });
  writeFileSync(file(), damage(readFileSync(file(), "utf8")));
  const again = await tune(hardware, config, dims, { time: clock.time });
  expect(again.id).toBe(id);
  expect(clock.calls).toBe(2 * choices.length);
  await tune(hardware, config, dims, { time: clock.time }); // it is mended
  expect(clock.calls).toBe(2 * choices.length);
});

test("where nothing can be remembered, the reason is told", async () => {
  mkdirSync(file()); // a folder in the file's place
  const { forgotten } = await tune(hardware, config, dims, { time: stopwatch().time });
  expect(forgotten).toMatch(/kernels\.json/);
});

test("every kernel that a shape may be given is timed, and so are its splits", async () => {
  const shape: ProductShape = {
    op: "matmul_backward",
    M: 20,
    N: 6, // no multiple of 4: few kernels serve it
    K: 8,
    transposed: false,
    pair: true,
    half: [],
    epilogue: "none",
  };
  const variants = productVariants(device, shape, 2);
  const times = await timeProducts(device, shape, variants);
  expect(Object.keys(times).sort()).toEqual(variants.map(({ name }) => name).sort());
  expect(fastest(variants, times)).toBeDefined();
  expect(fastest(variants, {})).toBeUndefined();
});

test.runIf(device.features.includes("shader-f16"))(
  "what is timed are the pipelines of the step, in f16 too",
  async () => {
    const half = resolveConfig("microgpt", { n_embd: 16, batch_size: 3, dtype: "f16" });
    const kernels = new Kernels(device.gpu, platform.shaders());
    const asked = new Set<string>();
    const pipeline: Kernels["pipeline"] = (kernel, ...rest) => {
      if (kernel.startsWith("matmul")) asked.add(JSON.stringify([kernel, ...rest]));
      return device.kernels.pipeline(kernel, ...rest);
    };
    const watched: Device = Object.create(hardware, {
      kernels: { value: Object.assign(kernels, { pipeline }) },
    });
    const time: typeof timeProducts = (on, shape, variants) =>
      timeProducts(on, shape, [variants.find(({ kernel }) => kernel === "matmul")!]); // soon compiled
    const tuning = await tune(watched, half, dims, { mode: "measure", time });
    const timed = asked.size;
    expect(timed).toBeGreaterThan(0);
    const params = initialParameters(half, dims, new PythonRandom(3));
    const sequences = [Int32Array.of(7, 1, 2, 7)];
    const trainer = await GpuTrainer.create(watched, half, dims, params, sequences, tuning);
    trainer.destroy();
    expect(asked.size).toBe(timed);
  },
);

test("split sums give the same training as whole ones", async () => {
  const [B, T] = [64, 16];
  const wide = resolveConfig("microgpt", { batch_size: B, n_layer: 2, num_steps: 5 });
  const size = dimsOf(wide, 7);
  const params = initialParameters(wide, size, new PythonRandom(3));
  const text = Int32Array.from({ length: 200 }, (_, i) => (i * i) % 7);
  const sequences = Array.from({ length: B }, (_, b) => text.subarray(b, b + T + 1));
  const train = async (splits: number) => {
    const tuning = await tune(device, wide, size, { mode: "off" });
    const product = (_: ProductShape, variants: readonly ProductVariant[]) =>
      variants.find((v) => v.kernel === variants[0].kernel && v.splits === splits) ?? variants[0];
    const chosen = { ...tuning, product };
    const trainer = await GpuTrainer.create(device, wide, size, params, sequences, chosen);
    const losses: number[] = [];
    for await (const { loss, grad_norm } of trainer.run(5)) losses.push(loss, grad_norm);
    const planes = trainer.schedule.dispatches.map(({ sizes }) => sizes.splits ?? 1);
    trainer.destroy();
    return { losses, planes: Math.max(...planes) };
  };
  const [whole, split] = [await train(1), await train(4)];
  expect([whole.planes, split.planes]).toEqual([1, 4]);
  split.losses.forEach((x, i) => expect(Math.abs(x - whole.losses[i])).toBeLessThan(1e-5));
});
