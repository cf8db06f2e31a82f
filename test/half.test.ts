// Training with operands in f16: who may, and the scale on gradients. What needs matrix units is tested where
// there are some; the scale works on any GPU.

import { expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { giveConstants, giveHalves } from "../src/device/kernels.ts";
import { placeholders, writeTensor } from "../src/device/tensors.ts";
import { ConfigError } from "../src/errors.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { product, type ProductShape, productVariants } from "../src/model/product.ts";
import { PythonRandom } from "../src/random.ts";
import { createTrainer } from "../src/training/choose_trainer.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { kernelCases } from "../src/verify/kernel_cases.ts";
import { device } from "./harness/device.ts";
import { openNowhere } from "./harness/nowhere.ts";

const sequences = Array.from({ length: 40 }, (_, i) =>
  Int32Array.from({ length: 9 }, (_, t) => (i * 5 + t * t) % 7),
);

const hasHalf = device.features.includes("shader-f16");

async function open(overrides: Partial<Config> = {}, examples = sequences) {
  const config = resolveConfig("microgpt", { block_size: 8, num_steps: 50, ...overrides });
  const dims = dimsOf(config, 7);
  const params = initialParameters(config, dims, new PythonRandom(1));
  const trainer = await GpuTrainer.create(device, config, dims, params, examples);
  return { config, dims, params, trainer };
}

const units = (...subgroupMatrixConfigs: object[]) =>
  ({
    lanes: 32,
    features: ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"],
    info: { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs },
    gpu: {
      limits: { maxComputeWorkgroupStorageSize: 32768, maxComputeInvocationsPerWorkgroup: 256 },
    },
  }) as unknown as Device;
const half = { componentType: "f16", resultComponentType: "f32" };

test("products on matrix units come first with f16, in tiles that fit the device, and not at all with f32", () => {
  const shape: ProductShape = {
    op: "matmul_forward",
    M: 16384,
    N: 1536,
    K: 384,
    transposed: true,
    pair: false,
    half: ["out", "a", "b"],
    epilogue: "none",
  };
  const large = units({ ...half, M: 16, N: 16, K: 16 });
  const kernels = (device: Device, change: Partial<ProductShape> = {}) =>
    productVariants(device, { ...shape, ...change }, 1)
      .filter(({ kernel }) => kernel === "matmul_matrix")
      .map(({ tile }) => tile.join("x"));
  expect(kernels(large)).toEqual(["128x128", "128x64", "64x64"]);
  expect(kernels(large, { M: 64, N: 64 })).toEqual(["64x64", "128x128", "128x64"]);
  expect(kernels(large, { half: [] })).toEqual([]);
  expect(kernels(large, { K: 65 })).toEqual([]);
  expect(kernels(large, { N: 65 })).toEqual([]);
  const backward = { transposed: false, pair: true };
  expect(kernels(large, { ...backward, N: 65 })).toEqual([]);
  expect(kernels(large, { ...backward, K: 65 })).toHaveLength(3);
  expect(kernels(large, { ...backward, K: 65, M: 16385 })).toEqual([]);
  Object.assign(large.gpu.limits, { maxComputeWorkgroupStorageSize: 16384 });
  expect(kernels(large)).toEqual(["64x64"]);
  Object.assign(large.gpu.limits, { maxComputeWorkgroupStorageSize: 49152 });
  expect(kernels(large)).toEqual(["256x128", "128x128", "128x64", "64x64"]);
});

test.each([
  [8, 8, 8],
  [16, 16, 16],
  [16, 8, 16],
  [16, 8, 8],
])("the kernel is valid for matrix units of %i x %i x %i", async (M, N, K) => {
  const empty = await openNowhere();
  const { info, lanes } = units({ ...half, M, N, K });
  const virtual: Device = Object.create(empty, { info: { value: info }, lanes: { value: lanes } });
  const t = placeholders(
    ["out", "out2", "a", "b", "b2"].map((name) => ({ name, shape: [64, 64] })),
  ) as unknown as Parameters<typeof product>[3];
  for (const pair of [true, false]) {
    const shape: ProductShape = {
      op: "matmul",
      M: 64,
      N: 64,
      K: 64,
      transposed: !pair,
      pair,
      half: ["a", "b"],
      epilogue: pair ? "relu_backward" : "residual",
    };
    const [first] = productVariants(virtual, shape, 1);
    const { kernel, constants } = product(virtual, shape, first, t);
    expect(kernel).toBe("matmul_matrix");
    expect(constants).toMatchObject({ UNIT_M: M, UNIT_N: N, UNIT_K: K });
    await expect(virtual.kernels.pipeline(kernel, constants)).resolves.toBeDefined();
  }
  empty.destroy();
});

test("given constants go into the text, the others stay overrides", () => {
  const source =
    "const A = 8u;   // given: rows\nconst B = 9u;   // fixed\noverride C: u32 = 1u;\n";
  expect(giveConstants(source, { A: 16, C: 3 })).toEqual({
    code: source.replace("8u", "16u"),
    overrides: { C: 3 },
  });
});

test("arrays of f16 are given to the sources that say they can hold them, those of one name together", () => {
  const source = `alias Out = vec4f;   // given
alias Other = f32;   // fixed
@group(0) @binding(0) var<storage, read_write> out: array<Out>;   // (N)
@group(0) @binding(1) var<storage, read> inp: array<Out>;
@group(0) @binding(2) var<storage, read> other: array<Other>;
`;
  const typed = source.replace("= vec4f", "= vec4h");
  expect(giveHalves(source, ["out", "inp"])).toBe(`enable f16;\n${typed}`);
  expect(giveHalves(`enable f16;\n${source}`, ["out", "inp"])).toBe(`enable f16;\n${typed}`);
  expect(giveHalves(source, [])).toBe(source);
  expect(() => giveHalves(source, ["out"])).toThrow(
    /the array out cannot hold f16 here, or not alone/,
  );
  expect(() => giveHalves(source, ["other"])).toThrow(/the array other cannot hold f16/);
});

test("without shader-f16 dtype f16 is refused with a sentence, and so it is on the CPU", async () => {
  const { config: full, dims, params, trainer } = await open();
  trainer.destroy();
  const config: Config = { ...full, dtype: "f16" };
  const plain: Device = Object.create(device, { features: { value: [] } });
  for (const [where, words] of [
    [plain, /does not offer f16 to WebGPU \(shader-f16\)/],
    [undefined, /the CPU trains in float64/],
  ] as const) {
    const opening = createTrainer(where, config, dims, params, sequences);
    await expect(opening).rejects.toThrow(ConfigError);
    await expect(opening).rejects.toThrow(words);
  }
});

test.skipIf(!hasHalf)(
  "f16 asks nothing of the language: neither Node 22 nor every browser has Float16Array",
  async () => {
    const losses = async () => {
      const { trainer } = await open({ dtype: "f16" });
      const found: number[] = [];
      for await (const { loss } of trainer.run(3)) found.push(loss);
      trainer.destroy();
      return found;
    };
    const usual = await losses();
    vi.stubGlobal("Float16Array", undefined);
    vi.spyOn(Math, "f16round").mockImplementation(() => {
      throw new TypeError("Math.f16round is not a function");
    });
    try {
      expect(await losses()).toEqual(usual);
      expect(kernelCases().length).toBeGreaterThan(0);
    } finally {
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    }
  },
);

test("a power of two on the gradients changes no bit of them", async () => {
  const run = async (scale: number) => {
    const { trainer } = await open({ grad_clip: 0.5, batch_size: 4 });
    writeTensor(device, trainer.tensors.scaler, Float32Array.of(scale, 0));
    const records: number[] = [];
    for await (const { loss, grad_norm } of trainer.run(10)) records.push(loss, grad_norm);
    trainer.destroy();
    return records;
  };
  expect(await run(2 ** 16)).toEqual(await run(1));
});

test.skipIf(!hasHalf)(
  "where scaled gradients overflow, the step is skipped, told, and the scale halved until they do not",
  async () => {
    const { trainer } = await open({ dtype: "f16", init_std: 3 });
    const before = (await trainer.parameters()).values;
    writeTensor(device, trainer.tensors.scaler, Float32Array.of(2 ** 24, 0));
    const run = async (until: number) => {
      const records = [];
      for await (const record of trainer.run(until)) records.push(record);
      return records;
    };
    const [first] = await run(1);
    expect(first).toMatchObject({ step: 1, skipped: true });
    expect(Number.isFinite(first.grad_norm)).toBe(false);
    expect((await trainer.parameters()).values).toEqual(before);
    const skipped = (await run(16)).map((record) => "skipped" in record);
    expect(skipped).toContain(false);
    expect(skipped.at(-1)).toBe(false);
    expect((await trainer.parameters()).values).not.toEqual(before);
    trainer.destroy();
  },
);

test.skipIf(!hasHalf)(
  "a step that is skipped advances nothing of Adam's: the first update is that of f32",
  async () => {
    const document = Int32Array.of(6, 0, 1, 2, 0, 1, 3, 0, 1);
    const losses = async (dtype: Config["dtype"]) => {
      const settings = { n_embd: 32, n_layer: 2, init_std: 0.5, lr_schedule: "constant" } as const;
      const { trainer } = await open({ ...settings, learning_rate: 0.003, dtype }, [document]);
      const found: number[] = [];
      let skipped = 0;
      for await (const record of trainer.run(8)) {
        if (record.skipped) skipped++;
        else found.push(record.loss);
      }
      const { scaler } = await trainer.state();
      expect(scaler[2]).toBe(skipped);
      trainer.destroy();
      return { found, skipped };
    };
    const [whole, half] = [await losses("f32"), await losses("f16")];
    expect(half.skipped).toBeGreaterThanOrEqual(2);
    expect(half.found.length).toBeGreaterThanOrEqual(3);
    half.found.forEach((loss, i) => expect(Math.abs(loss / whole.found[i] - 1)).toBeLessThan(0.01));
  },
);

test.skipIf(!hasHalf)(
  "where gradients stay 0 the scale grows to its largest and no further",
  async () => {
    const { trainer } = await open({ dtype: "f16" }, [Int32Array.of(6)]); // nothing to predict
    const state = await trainer.state();
    trainer.restore({ ...state, scaler: [2 ** 23, 1999, 0] });
    const scales = async (until: number) => {
      for await (const { skipped } of trainer.run(until)) expect(skipped).toBeUndefined();
      return (await trainer.state()).scaler;
    };
    expect(await scales(1)).toEqual([2 ** 24, 0, 0]);
    trainer.restore({ ...(await trainer.state()), scaler: [2 ** 24, 1999, 0] });
    expect(await scales(2)).toEqual([2 ** 24, 0, 0]);
    trainer.destroy();
  },
);

test.skipIf(!hasHalf)(
  "gradients that overflow at every scale are not the scale's fault: that step is not called skipped",
  async () => {
    const { trainer } = await open({ dtype: "f16" });
    await overflow(trainer);
    const skipped: boolean[] = [];
    for await (const record of trainer.run(26)) {
      expect(Number.isFinite(record.loss)).toBe(true);
      skipped.push("skipped" in record);
    }
    expect(skipped).toEqual([...Array(24).fill(true), false, false]);
    const { scaler, skips } = await trainer.state();
    expect({ scaler, skips }).toEqual({ scaler: [1, 0, 26], skips: 26 });
    trainer.destroy();
  },
);

/** Gives a trainer weights with which gradients overflow f16 at every scale, and the loss does not. */
async function overflow(trainer: GpuTrainer): Promise<void> {
  const state = await trainer.state();
  for (const name of ["lm_head", "layer0.mlp_fc2"]) {
    const { offset, size } = state.layout.slice(name);
    for (let i = offset; i < offset + size; i++) state.values[i] *= 2 ** 18;
  }
  trainer.restore(state);
}
