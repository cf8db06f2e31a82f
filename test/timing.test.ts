// The clocks and the meter of a device; how long anything takes, no test says.

import { expect, test } from "vitest";
import type { Device } from "../src/device/device.ts";
import { Meter } from "../src/device/meter.ts";
import { Schedule } from "../src/device/schedule.ts";
import { allocateTensors, destroyTensors } from "../src/device/tensors.ts";
import { hasTimestamps, median, timeBusy, timeSchedules } from "../src/device/timing.ts";
import { GpuOps } from "../src/model/gpu_ops.ts";
import { device } from "./harness/device.ts";

async function setUp() {
  const tensors = await allocateTensors(device, [
    { name: "out", shape: [64, 64] },
    { name: "rstd", shape: [64] },
    { name: "inp", shape: [64, 64] },
  ]);
  const { out, rstd, inp } = tensors;
  const dispatch = new GpuOps(device).rmsnormForward(out, rstd, inp, { N: 64, C: 64, eps: 1e-5 });
  const schedule = await Schedule.create(device, [dispatch, dispatch]);
  const close = () => {
    schedule.destroy();
    destroyTensors(tensors);
  };
  return { schedule, close };
}

/** The device as it would be if it could not read its own clock. */
function withoutTimestamps(): Device {
  const gpu = new Proxy(device.gpu, {
    get(gpu, name) {
      if (name === "features") return new Set();
      const value = Reflect.get(gpu, name, gpu);
      return typeof value === "function" ? value.bind(gpu) : value;
    },
  });
  return Object.create(device, { gpu: { value: gpu } });
}

test("each schedule has its time, by either clock", async () => {
  const { schedule, close } = await setUp();
  const blind = withoutTimestamps();
  expect(hasTimestamps(blind)).toBe(false);
  for (const timed of [device, blind]) {
    const times = await timeSchedules(timed, [schedule, schedule, schedule], 2);
    expect(times).toHaveLength(3);
    for (const ms of times) expect(ms).toBeGreaterThanOrEqual(0);
  }
  expect(await timeBusy(device, (encoder) => schedule.encode(encoder))).toBeGreaterThan(0);
  close();
});

test("the meter counts buffers that live, dispatches and submits, until it is stopped", async () => {
  const { gpu } = device;
  const before = Object.getOwnPropertyNames(gpu);
  const outer = new Meter(device);
  const inner = new Meter(device);
  const { schedule, close } = await setUp();
  const encoder = gpu.createCommandEncoder();
  schedule.encode(encoder);
  gpu.queue.submit([encoder.finish()]);
  const bytes = (64 * 64 + 64 + 64 * 64) * 4 + 2 * 256;
  for (const meter of [inner, outer]) {
    expect(meter).toMatchObject({ bytes, peak_bytes: bytes, dispatches: 2, submits: 1 });
    meter.stop();
  }
  close();
  const more = await setUp();
  more.close();
  more.close(); // destroyed twice, counted once
  for (const meter of [inner, outer]) {
    expect(meter).toMatchObject({ bytes: 0, peak_bytes: bytes, dispatches: 2, submits: 1 });
  }
  expect(Object.getOwnPropertyNames(gpu)).toEqual(before);
});

test("the median of an even number lies between the middle two", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});
