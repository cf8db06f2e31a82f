// A run's first minute: which device it takes, what is compiled before the first step, and what is left when it closes.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { platform } from "#platform";
import { type Config, resolveConfig } from "../src/config.ts";
import { chooseDevice, sharedDevice, sharing } from "../src/device/choose.ts";
import { Device, openDevice } from "../src/device/device.ts";
import { Meter } from "../src/device/meter.ts";
import { compile } from "../src/device/prepare.ts";
import type { PrepareEvent } from "../src/training/events.ts";
import { NoWebGpuError, TensorTooLargeError } from "../src/errors.ts";
import { Generator } from "../src/generation/from_model.ts";
import { estimate, trainingWork } from "../src/model/work.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { Sweep } from "../src/training/sweep.ts";
import { Training } from "../src/training/train.ts";
import { device, variants } from "./harness/device.ts";
import { allocateTensors, destroyTensors, placeholders } from "../src/device/tensors.ts";

const documents = ["anna", "bob", "carla", "dave"];
const none = () => openDevice({ gpu: async () => undefined, shaders: () => ({}) });

describe("auto", () => {
  const on = (software: boolean) => async () =>
    Object.create(device, { software: { value: software } }) as Device;
  const [short, long] = [
    { cpu: 0.1, software: 7 },
    { cpu: 60, software: 9 },
  ];

  test("takes hardware whatever it costs, and says nothing", async () => {
    for (const work of [undefined, short, long]) {
      const { device, fallback, device_reason } = await chooseDevice("auto", work, on(false));
      expect([device?.software, fallback, device_reason]).toEqual([false, null, null]);
    }
  });

  test("takes the CPU or a GPU in software, whichever is sooner done, and says so", async () => {
    const { device, device_reason } = await chooseDevice("auto", short, on(true));
    expect([device, device_reason]).toEqual([
      undefined,
      "about 0.1 s on the CPU, 7.0 s on a GPU in software that may have to compile",
    ]);
    const slow = await chooseDevice("auto", long, on(true));
    expect(slow.device?.software).toBe(true);
    expect(slow.device_reason).toMatch(
      /^about 1:00 min on the CPU, 9\.0 s on this GPU in software/,
    );
    expect((await chooseDevice("auto", undefined, on(true))).device?.software).toBe(true);
  });

  test("webgpu and cpu insist", async () => {
    expect((await chooseDevice("webgpu", short, on(true))).device?.software).toBe(true);
    const onCpu = { device: undefined, fallback: null, device_reason: null };
    expect(await chooseDevice("cpu", long, on(true))).toEqual(onCpu);
    await expect(chooseDevice("webgpu", short, none)).rejects.toThrow(NoWebGpuError);
  });

  test("tells what the want of a GPU costs, and the way out", async () => {
    const { device, fallback } = await chooseDevice("auto", short, none);
    expect(device).toBeUndefined();
    expect(fallback).toMatch(/^There is no WebGPU here: [^`]*localhost\)\.$/);
    const told = (await chooseDevice("auto", long, none)).fallback;
    expect(told).toMatch(/On the CPU it takes about 1:00 min/);
    const help = platform.softwareGpu ?? "1:00 min";
    expect(told).toContain(help);
  });

  test("a model of microgpt's size is sooner done on the CPU, a book's on a GPU in software", () => {
    const of = (overrides: Partial<Config>, V: number, length: number) => {
      const config = resolveConfig("microgpt", overrides);
      const sizes = { steps: config.num_steps, length, validated: 0 };
      const { cpu, software } = estimate([trainingWork(config, dimsOf(config, V), sizes)]);
      return cpu < software;
    };
    expect(of({}, 27, 7)).toBe(true);
    expect(of({ num_steps: 100_000 }, 27, 7)).toBe(true);
    const book = { n_layer: 2, n_embd: 64, block_size: 64, batch_size: 8, num_steps: 300 };
    expect(of(book, 65, 64)).toBe(false);
  });

  test("a run takes what it weighed, and one that was on a GPU goes on there", async () => {
    const config = resolveConfig("microgpt", { num_steps: 2, num_samples: 0 });
    const run = await Training.open({ config, documents, device: "webgpu" });
    for await (const _ of run.steps());
    const resume = await run.checkpoint();
    run.close();
    const longer = { ...config, num_steps: 3 };
    const resumed = await Training.open({ config: longer, documents, device: "auto", resume });
    expect(resumed.start.device).toBe("webgpu");
    resumed.close();
    const anew = await Training.open({ config, documents, device: "auto" });
    expect(anew.start.device).toBe(device.software ? "cpu" : "webgpu");
    expect(anew.start.device_reason === null).toBe(!device.software);
    anew.close();
  });
});

describe("a device is known by what it tells", () => {
  const told = (info: Partial<GPUAdapterInfo>, features: string[] = []) => {
    const gpu = Object.create(device.gpu, { features: { value: new Set(features) } });
    gpu.createBuffer = () => ({}); // a proxy of a native object cannot
    gpu.addEventListener = () => {};
    Object.defineProperty(gpu, "lost", { value: new Promise(() => {}) });
    const blank = { vendor: "", architecture: "", device: "", description: "" };
    return new Device(gpu, { ...blank, ...info } as GPUAdapterInfo, {});
  };

  test.each([
    [{ vendor: "mesa", architecture: "software", device: "llvmpipe-llvm-15-0-6-512-bits-" }, true],
    [{ vendor: "google", architecture: "swiftshader" }, true],
    [{ description: "Microsoft Basic Render Driver" }, true],
    [{ vendor: "x", isFallbackAdapter: true }, true],
    [{ vendor: "arm", architecture: "valhall", subgroupMaxSize: 8 }, false],
    [{ vendor: "nvidia", architecture: "hopper", description: "NVIDIA: 580.95.05" }, false],
  ])("software or not: %o", (info, software) => {
    expect(told(info).software).toBe(software);
  });

  test("its lanes are what it says where it has subgroups, and usual elsewhere", () => {
    const lavapipe = { architecture: "software", subgroupMaxSize: 16 };
    expect(told(lavapipe, ["subgroups"]).lanes).toBe(16);
    expect(told(lavapipe).lanes).toBe(8);
    expect(told({ subgroupMaxSize: 128 }).lanes).toBe(32);
    expect(told({ subgroupMaxSize: 64 }, ["subgroups"]).lanes).toBe(64);
  });

  test("its name is the GPU's, not the driver's, and where there is none WebGPU's", () => {
    const h100 = { vendor: "nvidia", device: "nvidia-h100", description: "NVIDIA: 580.95.05" };
    expect(told(h100).name).toBe("nvidia-h100");
    const mesa = { device: "llvmpipe-256", description: "llvmpipe: Mesa 25" };
    expect(told(mesa).name).toBe("llvmpipe: Mesa 25");
    expect(told({ vendor: "acme", architecture: "one" }).name).toBe("acme one");
    expect(told({}).name).toBe(`WebGPU (${platform.implementation})`);
  });
});

describe("compiling", () => {
  const config = (overrides: Partial<Config> = {}) =>
    resolveConfig("microgpt", { num_steps: 2, num_samples: 2, val_fraction: 0.5, ...overrides });
  let own: Device;
  let created: string[];

  // A device of its own, on which nothing is compiled yet.
  beforeEach(async () => {
    own = await openDevice();
    created = [];
    const { gpu } = own;
    const create = gpu.createComputePipelineAsync.bind(gpu);
    vi.spyOn(gpu, "createComputePipelineAsync").mockImplementation((descriptor) => {
      created.push(descriptor.label!);
      return create(descriptor);
    });
  });
  afterEach(() => own.destroy());

  test("all pipelines are started before the first is awaited, and each is counted once", async () => {
    const t = await allocateTensors(own, [
      { name: "out", shape: [4] },
      { name: "rstd", shape: [2] },
      { name: "inp", shape: [4] },
    ]);
    const { ops } = variants[0];
    const norm = ops.rmsnormForward(t.out, t.rstd, t.inp, { N: 2, C: 2, eps: 1e-5 });
    const product = ops.matmulForward(t.out, t.inp, t.rstd, { N: 2, C: 2, OC: 1 });
    const before: number[] = [];
    const events: PrepareEvent[] = [];
    const progress = (event: PrepareEvent) => {
      events.push(event);
      before.push(created.length);
    };
    await compile(own, [norm, product, norm], { progress });
    const told = { type: "prepare", what: "compile", total: 2 };
    expect(events).toEqual([0, 1, 2].map((done) => ({ ...told, done })));
    expect(before).toEqual([2, 2, 2]);
    await compile(own, [norm], { progress });
    expect(events).toHaveLength(3);
    own.check();
    destroyTensors(t);
  });

  test.each([
    ["of a small model", {}],
    ["of a small model's batches", { batch_size: 4 }],
    ["of a larger model", { n_embd: 64, block_size: 32 }],
  ])("a run compiles nothing after its first step: %s", async (_, overrides) => {
    const events: PrepareEvent[] = [];
    const kernels = vi.spyOn(device.kernels, "pipeline"); // what is started, on the device that runs share
    const training = await Training.open({
      config: config(overrides),
      documents,
      device: "webgpu",
      progress: (event) => events.push(event),
    });
    const ready = () =>
      kernels.mock.results.filter(({ value }) => !device.kernels.ready.has(value)).length;
    expect(kernels).toHaveBeenCalled();
    expect(ready()).toBe(0);
    for await (const _event of training.run());
    for await (const _sample of training.samples());
    expect(ready()).toBe(0);
    for (const [i, { done, total }] of events.entries())
      expect([done, total]).toEqual([i, events.length - 1]);
    kernels.mockRestore();
    training.close();
  });

  test("hardware is not waited for where a kernel is for later", async () => {
    const hardware: Device = Object.create(own, { software: { value: false } });
    const t = placeholders([
      { name: "out", shape: [4] },
      { name: "rstd", shape: [2] },
      { name: "inp", shape: [4] },
    ]);
    const { ops } = variants[0];
    const now = ops.rmsnormForward(t.out, t.rstd, t.inp, { N: 2, C: 2, eps: 1e-5 });
    const later = ops.matmulForward(t.out, t.inp, t.rstd, { N: 2, C: 2, OC: 1 });
    const events: PrepareEvent[] = [];
    await compile(hardware, [now], { progress: (event) => events.push(event) }, [later]);
    expect(events.map(({ done, total }) => [done, total])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(created).toEqual([now.kernel, later.kernel]);
  });

  test("an aborted signal ends it", async () => {
    const events: PrepareEvent[] = [];
    const stop = new AbortController();
    const t = await allocateTensors(own, [
      { name: "out", shape: [4] },
      { name: "rstd", shape: [2] },
      { name: "inp", shape: [4] },
    ]);
    const { ops } = variants[0];
    const list = [
      ops.rmsnormForward(t.out, t.rstd, t.inp, { N: 2, C: 2, eps: 1e-5 }),
      ops.matmulForward(t.out, t.inp, t.rstd, { N: 2, C: 2, OC: 1 }),
    ];
    const progress = (event: PrepareEvent) => {
      events.push(event);
      stop.abort();
    };
    await compile(own, list, { progress, signal: stop.signal });
    expect(events.map(({ done }) => done)).toEqual([0]);
  });
});

describe("the device that runs share", () => {
  test("is opened once, and given back to the last byte by each of them", async () => {
    const request = vi.spyOn(Object.getPrototypeOf(device.gpu), "destroy");
    const meter = new Meter(device);
    for (const overrides of [{}, { batch_size: 4 }, { n_embd: 64, block_size: 32 }]) {
      const config = resolveConfig("microgpt", {
        num_steps: 2,
        num_samples: 1,
        val_fraction: 0.5,
        ...overrides,
      });
      for (let i = 0; i < 3; i++) {
        const training = await Training.open({ config, documents, device: "webgpu" });
        for await (const _ of training.run());
        for await (const _ of training.samples());
        const model = await training.model();
        training.close();
        const sweep = await Sweep.open({ configs: [config], documents, device: "webgpu" });
        for await (const _ of sweep.run());
        const generator = await Generator.open(model, "webgpu");
        for await (const _ of generator.samples({ num_samples: 1, temperature: 1, seed: 1 }));
        generator.close();
        expect(meter.bytes).toBe(0);
      }
    }
    const impossible = resolveConfig("microgpt", { batch_size: 2 ** 20, block_size: 2 ** 10 });
    const opening = Training.open({ config: impossible, documents, device: "webgpu" });
    await expect(opening).rejects.toThrow(TensorTooLargeError);
    expect(meter.stop().bytes).toBe(0);
    expect(request).not.toHaveBeenCalled();
    request.mockRestore();
    expect(await sharedDevice()).toBe(device);
  });

  test("is another one after it has failed", async () => {
    const opened: { failed: boolean; destroy: () => void }[] = [];
    const open = async () => {
      const destroy = vi.fn<() => void>();
      opened.push({ failed: false, destroy });
      return opened.at(-1) as unknown as Device;
    };
    const get = sharing(open);
    const first = await get();
    expect(await get()).toBe(first);
    opened[0].failed = true;
    const [second, third] = await Promise.all([get(), get()]);
    expect(second).not.toBe(first);
    expect(third).toBe(second);
    expect(opened).toHaveLength(2);
    expect(opened[0].destroy).toHaveBeenCalledTimes(1);
  });
});
