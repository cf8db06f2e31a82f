// No dispatch takes so long that a system would reset the GPU: those that would are made in several.

import { expect, test } from "vitest";
import type { Device } from "../src/device/device.ts";
import { resolveConfig } from "../src/config.ts";
import { type Dispatch, Schedule, splitGrid } from "../src/device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  fillRandom,
  placeholders,
  readTensor,
} from "../src/device/tensors.ts";
import { GpuOps } from "../src/model/gpu_ops.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { tune } from "../src/tuning/tune.ts";
import { device } from "./harness/device.ts";

/** Counts a schedule's dispatches, and runs it. */
async function run(on: Device, dispatches: readonly Dispatch[]): Promise<number> {
  const schedule = await Schedule.create(on, dispatches);
  const encoder = device.gpu.createCommandEncoder();
  let count = 0;
  const counting = {
    beginComputePass() {
      const pass = encoder.beginComputePass();
      const dispatch = pass.dispatchWorkgroups.bind(pass);
      pass.dispatchWorkgroups = (...grid: [number, number?, number?]) => {
        count++;
        dispatch(...grid);
      };
      return pass;
    },
  };
  schedule.encode(counting as GPUCommandEncoder);
  device.gpu.queue.submit([encoder.finish()]);
  schedule.destroy();
  return count;
}

const at = (gflops: number): Device =>
  Object.create(device, { gflops: { value: gflops, writable: true } });

test("what would take longer than 200 ms is made in parts, bit by bit the same", async () => {
  const [N, C, OC] = [96, 64, 80];
  const t = await allocateTensors(device, [
    { name: "a", shape: [N, OC] },
    { name: "b", shape: [OC, C] },
    { name: "c", shape: [N, C] },
    { name: "out", shape: [N, C] },
    { name: "out2", shape: [OC, C] },
  ]);
  for (const tensor of [t.a, t.b, t.c]) fillRandom(device, tensor);
  const pair = new GpuOps(device).matmulBackward(t.out, t.out2, t.a, t.c, t.b, {
    N,
    C,
    OC,
    plane: 0,
  });
  const flops = 4 * N * C * OC;
  expect(pair.work!.flops).toBe(flops);
  /** Of a rate at which it takes so many ms. */
  const results = async (ms: number) => {
    const count = await run(at(flops / ms / 1e6), [pair]);
    return { count, out: await readTensor(device, t.out), out2: await readTensor(device, t.out2) };
  };
  const whole = await results(199);
  expect(whole.count).toBe(1);
  const parts = await results(590);
  expect(parts.count).toBe(3);
  expect([parts.out, parts.out2]).toEqual([whole.out, whole.out2]);
  destroyTensors(t);
});

test("every workgroup of a grid is in one of its parts, whatever a row may have", () => {
  for (const most of [4, 7, 65535]) {
    const limited = { gpu: { limits: { maxComputeWorkgroupsPerDimension: most } } } as Device;
    for (const total of [1, 3, 8, 23, 100]) {
      for (const count of [1, 2, 3, 200]) {
        const parts = splitGrid(limited, { sizes: {} } as Dispatch, total, count);
        expect(parts.length).toBeLessThanOrEqual(count);
        const seen = parts.flatMap(({ sizes, grid: [x, y, z] }, i) => {
          expect([x <= most, z]).toEqual([true, 1]);
          const made = Array.from({ length: x * y }, (_, n) => sizes.before + n);
          // Only the last one may have some that there are none of, as a grid has that is not split.
          return i < parts.length - 1 ? made : made.filter((index) => index < total);
        });
        expect(seen).toEqual(Array.from({ length: total }, (_, n) => n));
      }
    }
  }
});

test("attention is made in parts of whole sequences, each where a binding may start", () => {
  const attention = (B: number, T: number, C: number) => {
    const table = [
      { name: "out", shape: [B, T, C] },
      { name: "stats", shape: [B, 2, T, 2] },
      { name: "qkv", shape: [B, T, 3 * C] },
    ];
    const { out, stats, qkv } = placeholders(table);
    return new GpuOps(device).attentionForward(out, stats, qkv, { B, T, C, NH: 2 });
  };
  const parts = attention(7, 64, 32).work!.parts(3);
  expect(parts.map(({ bindings }) => bindings.out.shape[0] / 64 / 32)).toEqual([3, 3, 1]);
  for (const { bindings } of parts) {
    for (const { offset, size } of Object.values(bindings))
      expect([offset % 256, size % 4]).toEqual([0, 0]);
  }
  expect(attention(7, 63, 32).work!.parts(3)).toHaveLength(1); // no sequence but the first starts so
});

const config = resolveConfig("microgpt", {
  n_embd: 256,
  n_head: 4,
  block_size: 256,
  batch_size: 32,
});
const dims = dimsOf(config, 512);

test("what tuning measures is what schedules count on; software is never in parts", async () => {
  expect(device.gflops).toBe(Infinity);
  const hardware: Device = Object.create(device, {
    software: { value: false },
    lanes: { value: 32 },
    gflops: { value: 250, writable: true },
  });
  const seen: number[] = [];
  const rates: number[] = [];
  await tune(hardware, config, dims, {
    mode: "measure",
    // As if the slowest kernel made 1 TFLOP/s, and the fastest 4.
    time: async (_, { M, N, K, pair }, variants) => {
      const flops = (pair ? 4 : 2) * M * N * K;
      seen.push(flops);
      rates.push(hardware.gflops);
      const ms = (tflops: number) => flops / tflops / 1e9;
      return Object.fromEntries(variants.map(({ name }, i) => [name, i === 0 ? ms(1) : ms(4)]));
    },
  });
  expect(seen.length).toBeGreaterThan(1);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(rates.map(Math.round)).toEqual([250, ...rates.slice(1).fill(1000)]);
  expect(hardware.gflops).toBeCloseTo(4000);
  const { table, list } = planStep(hardware, config, dims);
  const all = list(placeholders(table));
  expect(all.filter(({ work }) => work !== undefined)).toEqual(
    all.filter(({ kernel }) => /^(matmul|attention)/.test(kernel)),
  );
});
