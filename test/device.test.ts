// The device layer's failures: what is missing, too large, refused or lost ends with a sentence.

import { platform } from "#platform";
import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { openDevice } from "../src/device/device.ts";
import { parseBindings } from "../src/device/kernels.ts";
import { ReadbackRing } from "../src/device/ring.ts";
import { Schedule } from "../src/device/schedule.ts";
import { allocateTensors, checkTensors } from "../src/device/tensors.ts";
import { GpuError, NoWebGpuError, TensorTooLargeError } from "../src/errors.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { device, variants } from "./harness/device.ts";

const shaders = () => platform.shaders();
const noGpu = (gpu: () => Promise<unknown>) =>
  openDevice({ gpu: gpu as () => Promise<GPU>, shaders });

test("without WebGPU the reason is told", async () => {
  await expect(noGpu(async () => undefined)).rejects.toThrow(/no WebGPU here.*browser/);
  await expect(noGpu(() => Promise.reject(new Error("libdawn is missing")))).rejects.toThrow(
    "WebGPU could not be loaded: libdawn is missing",
  );
  const empty = noGpu(async () => ({ requestAdapter: async () => null }));
  await expect(empty).rejects.toThrow(NoWebGpuError);
  await expect(empty).rejects.toThrow(/no WebGPU adapter.*driver/);
  const adapter = {
    features: new Set(),
    limits: {},
    info: { description: "", device: "", vendor: "acme", architecture: "one" },
    requestDevice: () => Promise.reject(new Error("busy")),
  };
  const refusing = noGpu(async () => ({ requestAdapter: async () => adapter }));
  await expect(refusing).rejects.toThrow("The adapter acme one gave no device: busy");
});

test("a device tells its name, features and limits", () => {
  expect(device.name.length).toBeGreaterThan(3);
  expect(device.features).toEqual([...device.features].sort());
  expect(device.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(2 ** 27);
});

test("a tensor over the limit is named with what it needs, before anything is allocated", async () => {
  const huge = { name: "logits", shape: [2 ** 16, 2 ** 16] };
  expect(() => checkTensors(device, [huge])).toThrow(TensorTooLargeError);
  expect(() => checkTensors(device, [huge])).toThrow(
    /The tensor logits \(65536, 65536\) needs 16,384 MiB, but .* allows [\d,]+ MiB \(maxStorageBufferBindingSize\)/,
  );
  const made: string[] = [];
  const counting = Object.create(device, {
    gpu: {
      value: new Proxy(device.gpu, {
        get: (gpu, key) => {
          if (key === "createBuffer") return () => made.push("buffer");
          return Reflect.get(gpu, key, gpu);
        },
      }),
    },
  });
  const small = { name: "x", shape: [4] };
  await expect(allocateTensors(counting, [small, huge])).rejects.toThrow(TensorTooLargeError);
  expect(made).toEqual([]);
});

test("memory that does not suffice is a sentence, and what was made is freed", async () => {
  const destroyed: string[] = [];
  const gpu = {
    limits: device.gpu.limits,
    pushErrorScope() {},
    popErrorScope: async () => ({ message: "out of memory" }),
    createBuffer: ({ label }: { label: string }) => ({ destroy: () => destroyed.push(label) }),
  };
  const poor = Object.create(device, { gpu: { value: gpu } });
  const table = [
    { name: "a", shape: [2 ** 20] },
    { name: "b", shape: [2 ** 20] },
  ];
  await expect(allocateTensors(poor, table)).rejects.toThrow(/not enough free memory for 8 MiB/);
  expect(destroyed).toEqual(["a", "b"]);
});

test("bindings are read from the WGSL", () => {
  const wgsl = `@group(0) @binding(0) var<storage, read_write> out: array<f32>; // (N)
    @group(0) @binding(2) var<uniform> sizes: Sizes;`;
  expect(parseBindings(wgsl)).toEqual([
    { name: "out", index: 0, writes: true, element: "f32" },
    { name: "sizes", index: 2, writes: false, element: undefined },
  ]);
});

test("a dispatch that lacks a tensor, names a wrong one or an unknown kernel is refused by name", async () => {
  const t = await allocateTensors(device, [
    { name: "out", shape: [4] },
    { name: "rstd", shape: [2] },
    { name: "inp", shape: [4] },
  ]);
  const healthy = variants[0].ops.rmsnormForward(t.out, t.rstd, t.inp, { N: 2, C: 2, eps: 1e-5 });
  const create = (change: object) => Schedule.create(device, [{ ...healthy, ...change }]);
  await expect(create({ bindings: { out: t.out, rstd: t.rstd } })).rejects.toThrow(
    /binding inp of rmsnorm_forward/,
  );
  await expect(create({ bindings: { ...healthy.bindings, extra: t.inp } })).rejects.toThrow(
    /declares no binding extra/,
  );
  await expect(create({ sizes: {} })).rejects.toThrow(/no value for sizes.N/);
  await expect(create({ kernel: "sideways" })).rejects.toThrow(/no kernel sideways.wgsl/);
});

test("the ring holds no more copies in flight than it has buffers", () => {
  const ring = new ReadbackRing(device, 16, 1);
  const source = device.gpu.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC });
  const encoder = device.gpu.createCommandEncoder();
  ring.copy(encoder, source, 0, 16);
  expect(() => ring.copy(encoder, source, 0, 16)).toThrow(/more than 1 copies/);
  ring.destroy();
});

test("a refused command ends with a sentence", async () => {
  const own = await openDevice();
  own.gpu.createBuffer({ size: 16, usage: 0 });
  await own.gpu.queue.onSubmittedWorkDone();
  expect(() => own.check()).toThrow(GpuError);
  expect(() => own.check()).toThrow(/refused a command: .* start again/s);
  own.destroy();
});

test("a lost device ends the run, and no step after it counts", async () => {
  const own = await openDevice();
  const config = resolveConfig("microgpt", { num_steps: 100_000 });
  const dims = dimsOf(config, 5);
  const params = initialParameters(config, dims, new PythonRandom(1));
  const trainer = await GpuTrainer.create(own, config, dims, params, [Int32Array.of(4, 1, 2, 4)]);
  let last = 0;
  const run = async () => {
    for await (const { step } of trainer.run(config.num_steps)) {
      last = step;
      if (step === 20) own.destroy();
    }
  };
  await expect(run()).rejects.toThrow(GpuError);
  expect(trainer.step).toBe(last);
  await expect(trainer.parameters()).rejects.toThrow(GpuError);
});
