// Which matrix units are used, by subgroups of which size, and that their kernels are valid: Dawn checks them without a
// GPU, on a device whose subgroups have 4 to 128 lanes.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { giveConstants } from "../src/device/kernels.ts";
import { matrixUnit } from "../src/device/matrix_unit.ts";
import { type Dispatch, pipelineOf, pipelineSpec } from "../src/device/schedule.ts";
import { placeholders } from "../src/device/tensors.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { type ProductShape, productVariants } from "../src/model/product.ts";
import { planStep } from "../src/model/step_plan.ts";
import { openNowhere } from "./harness/nowhere.ts";

const empty = await openNowhere();

const half = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
/** Metal's. */
const whole = { componentType: "f32", resultComponentType: "f32", M: 8, N: 8, K: 8 };
const halfSums = { componentType: "f16", resultComponentType: "f16", M: 8, N: 8, K: 8 };

interface Info {
  sizes?: [least: number, most: number];
  features?: string[];
  memory?: number;
}

const features = [
  "shader-f16",
  "subgroups",
  "subgroup-size-control",
  "chromium-experimental-subgroup-matrix",
];

function deviceWith(
  configs: object[],
  { sizes = [32, 32], features: has = features, memory = 32768 }: Info = {},
): Device {
  const [subgroupMinSize, subgroupMaxSize] = sizes;
  const info = { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs: configs };
  const limits = {
    maxComputeWorkgroupStorageSize: memory,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 2 ** 30,
    maxBufferSize: 2 ** 30,
  };
  return Object.create(empty, {
    info: { value: info },
    features: { value: has },
    lanes: { value: subgroupMaxSize },
    gpu: { value: { limits } },
  });
}

test("the largest matrix units with sums in f32 are taken, for each type of operands", () => {
  const large = { ...half, M: 16, N: 16, K: 16 };
  const small = { ...half, M: 16, N: 8, K: 8 };
  const unit = { M: 16, N: 16, K: 16, operands: "f16", lanes: 32, asked: false };
  expect(matrixUnit(deviceWith([small, halfSums, large]))).toEqual(unit);
  const metal = deviceWith([whole, halfSums]);
  expect(matrixUnit(metal, "f16")).toBeUndefined();
  expect(matrixUnit(metal, "f32")).toMatchObject({ M: 8, N: 8, K: 8, operands: "f32" });
  expect(matrixUnit(deviceWith([large]), "f32")).toBeUndefined();
  expect(matrixUnit(deviceWith([large], { features: ["shader-f16"] }))).toBeUndefined();
});

test.each([
  [[32, 64], features, 32], // AMD
  [[8, 32], features, 32], // Intel
  [[16, 32], features.filter((name) => name !== "subgroup-size-control"), undefined],
  [[4, 16], features, undefined],
  [[64, 128], features, undefined],
] as const)(
  "subgroups of %j: those of 32 are asked for where there are some",
  (sizes, has, lanes) => {
    const device = deviceWith([half], { sizes: [...sizes], features: [...has] });
    const unit = matrixUnit(device);
    expect(unit?.lanes).toBe(lanes);
    expect(unit?.asked).toBe(lanes && true);
  },
);

const shape: ProductShape = {
  op: "matmul_forward",
  M: 16384,
  N: 1536,
  K: 384,
  transposed: true,
  pair: false,
  half: [],
  epilogue: "none",
};

test("units for f32 make the products of f32 and, where there are no others, of f16, in tiles that fit", () => {
  const tiles = (device: Device, half: ProductShape["half"]) =>
    productVariants(device, { ...shape, half }, 1)
      .filter(({ kernel }) => kernel === "matmul_matrix")
      .map(({ tile }) => tile.join("x"));
  const metal = deviceWith([whole, halfSums]);
  expect(tiles(metal, [])).toEqual(["128x64", "64x64"]);
  expect(tiles(metal, ["out", "a", "b"])).toEqual(["128x64", "64x64"]);
  expect(tiles(deviceWith([whole], { memory: 65536 }), [])).toContain("128x128");
  const both = deviceWith([whole, half]);
  expect(tiles(both, ["out", "a", "b"])[0]).toBe("128x128");
});

/** The pipelines of a step's kernels for matrix units. */
function specsOf(device: Device, overrides: Partial<Config>) {
  const config = resolveConfig("microgpt", {
    n_embd: 64,
    n_head: 2,
    block_size: 64,
    batch_size: 4,
    ...overrides,
  });
  const { table, list } = planStep(device, config, dimsOf(config, 68));
  const matrices = list(placeholders(table)).filter(({ kernel }) => kernel.endsWith("_matrix"));
  const texts = new Map<string, Dispatch>();
  for (const dispatch of matrices) texts.set(JSON.stringify(pipelineSpec(dispatch)), dispatch);
  return [...texts.values()];
}

test("where subgroups differ in size, pipelines ask for theirs, and are valid", async () => {
  expect(empty.info.subgroupMinSize).toBeLessThan(empty.info.subgroupMaxSize);
  const device = deviceWith([half], { sizes: [4, 128], memory: 16384 });
  const dispatches = specsOf(device, { dtype: "f16" });
  expect(new Set(dispatches.map(({ kernel }) => kernel)).size).toBeGreaterThan(2);
  for (const dispatch of dispatches) {
    expect(dispatch.constants).toMatchObject({ LANES: 32, subgroup_size: 32 });
    await pipelineOf(empty, dispatch);
    const { kernel, constants } = dispatch;
    const { code, overrides } = giveConstants(empty.kernels.source(kernel), constants);
    expect(code).toContain("@compute @subgroup_size(32) @workgroup_size(");
    expect(overrides).not.toHaveProperty("subgroup_size");
  }
  const fixed = specsOf(deviceWith([half]), { dtype: "f16" });
  expect(fixed.filter(({ constants }) => "subgroup_size" in constants)).toEqual([]);
});

// Dawn adds arithmetic of its own to a shuffle, to bound the lane; a driver crashed over such a kernel.
test.each(empty.kernels.names.filter((kernel) => kernel.endsWith("_matrix")))(
  "%s has no arithmetic of subgroups beside its matrices",
  (kernel) => {
    const calls = empty.kernels.source(kernel).match(/\b(subgroup|quad)\w*(?=[(<])/g) ?? [];
    expect(calls.length).toBeGreaterThan(0);
    expect(calls.filter((name) => !/^subgroup(Matrix|_matrix)/.test(name))).toEqual([]);
  },
);

test("kernels for units of f32 are valid, on numbers in f32 and in f16", async () => {
  for (const dtype of ["f32", "f16"] as const) {
    const dispatches = specsOf(deviceWith([whole, halfSums]), { dtype });
    expect(new Set(dispatches.map(({ kernel }) => kernel))).toEqual(new Set(["matmul_matrix"]));
    for (const { kernel, constants } of dispatches) {
      expect(constants.WHOLE).toBe(1);
      const { code } = giveConstants(empty.kernels.source(kernel), constants);
      expect(code).toContain("subgroup_matrix_left<Operand");
      expect(code).toContain("alias Operand = f32;");
      const { messages } = await empty.gpu.createShaderModule({ code }).getCompilationInfo();
      expect(messages.filter(({ type }) => type === "error")).toEqual([]);
    }
  }
});
