// Attention on matrix units: where it serves, and that its kernels are valid for hardware's. What they compute, the
// parity tests tell where there are some.

import { expect, test } from "vitest";
import type { Device } from "../src/device/device.ts";
import { giveConstants, giveHalves } from "../src/device/kernels.ts";
import { placeholders } from "../src/device/tensors.ts";
import { attention, attentionFamilies, type AttentionOp } from "../src/model/attention.ts";
import { openNowhere } from "./harness/nowhere.ts";

const MATRICES = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];

interface Virtual {
  unit?: number[];
  lanes?: number;
  memory?: number;
  features?: string[];
}

/** A device with matrix units of (M, N, K). */
function virtual(
  device: Device,
  { unit: [M, N, K] = [16, 16, 16], lanes = 32, memory = 49152, features = MATRICES }: Virtual,
): Device {
  const unit = { componentType: "f16", resultComponentType: "f32", M, N, K };
  const info = {
    subgroupMinSize: lanes,
    subgroupMaxSize: lanes,
    subgroupMatrixConfigs: [unit],
  };
  const limits = { maxComputeWorkgroupStorageSize: memory, maxComputeInvocationsPerWorkgroup: 256 };
  return Object.create(device, {
    info: { value: info },
    software: { value: lanes < 16 },
    lanes: { value: lanes },
    features: { value: features },
    gpu: { value: { ...device.gpu, limits } },
  });
}

const ops: Record<AttentionOp, string[]> = {
  attention_forward: ["out", "stats", "qkv"],
  attention_backward_q: ["dqkv", "delta", "dout", "out", "qkv", "stats"],
  attention_backward_kv: ["dqkv", "delta", "dout", "qkv", "stats"],
};

const isHalf = (name: string) => name !== "stats" && name !== "delta";

function dispatchOf(device: Device, op: AttentionOp, HS: number, dtype?: "f16") {
  const table = ops[op].map((name) => ({
    name,
    shape: [64],
    dtype: isHalf(name) ? dtype : undefined,
  }));
  const bindings = placeholders(table);
  const [first] = attentionFamilies(device);
  return attention(device, { first, WG: 64 }, op, bindings, { B: 2, T: 100, C: 3 * HS, NH: 3 });
}

const nowhere = await openNowhere();

test("the rule takes matrix units first, but a software GPU's lanes before them", () => {
  const families = (change: Virtual) => attentionFamilies(virtual(nowhere, change));
  expect(families({})).toEqual(["matrix", "tiles", "rows"]);
  expect(families({ memory: 16384 })).toEqual(["matrix", "rows"]);
  expect(families({ features: [] })).toEqual(["tiles", "rows"]);
  expect(families({ lanes: 8, unit: [8, 8, 8] })).toEqual(["lanes", "matrix", "tiles", "rows"]);
});

test("matrix units serve tensors in f16 and heads that they have room for, other families the rest", () => {
  const served = (HS: number, change: Virtual = {}, dtype?: "f16") =>
    dispatchOf(virtual(nowhere, change), "attention_backward_kv", HS, dtype).kernel.replace(
      "attention_backward_kv",
      "",
    );
  expect([4, 64, 100, 128].map((HS) => served(HS, {}, "f16"))).toEqual(Array(4).fill("_matrix"));
  expect([132, 6, 63].map((HS) => served(HS, {}, "f16"))).toEqual(["_tiles", "", ""]);
  expect([64, 63].map((HS) => served(HS))).toEqual(["_tiles", ""]);
  expect([32, 64].map((HS) => served(HS, { memory: 16384 }, "f16"))).toEqual(["_matrix", ""]);
  expect(served(64, { unit: [16, 16, 64] }, "f16")).toBe("_tiles");
});

test("a workgroup makes as many rows as it has room for", () => {
  const rows = (op: AttentionOp, HS: number, memory: number) => {
    const { constants, grid } = dispatchOf(virtual(nowhere, { memory }), op, HS, "f16");
    const made = constants.DOWN * constants.UNIT_M;
    expect(grid).toEqual([3, 2, Math.ceil(100 / made)]);
    return made;
  };
  expect(rows("attention_forward", 128, 32768)).toBe(64);
  expect(rows("attention_backward_q", 64, 32768)).toBe(64);
  expect(rows("attention_backward_q", 128, 32768)).toBe(32);
  expect(rows("attention_backward_kv", 64, 32768)).toBe(32);
  expect(rows("attention_backward_kv", 128, 49152)).toBe(64);
});

test.each([
  [8, 8, 8],
  [16, 16, 16],
  [16, 8, 16],
  [16, 8, 8],
])("the kernels are valid for matrix units of %i x %i x %i", async (...unit) => {
  // Dawn without a GPU has the least workgroup memory and the largest subgroups: pipelines for heads that it has room
  // for, and for hardware's memory the text.
  const { kernels, gpu, limits, lanes } = nowhere;
  const small = virtual(nowhere, { unit, lanes, memory: limits.maxComputeWorkgroupStorageSize });
  const usual = virtual(nowhere, { unit });
  for (const op of Object.keys(ops) as AttentionOp[]) {
    const halves = ops[op].filter(isHalf);
    for (const HS of [12, 32]) {
      const { kernel, constants } = dispatchOf(small, op, HS, "f16");
      expect(kernel).toBe(`${op}_matrix`);
      await expect(kernels.pipeline(kernel, constants, halves)).resolves.toBeDefined();
    }
    for (const HS of [32, 64, 128]) {
      const { kernel, constants } = dispatchOf(usual, op, HS, "f16");
      const { code } = giveConstants(giveHalves(kernels.source(kernel), halves), constants);
      const { messages } = await gpu.createShaderModule({ code }).getCompilationInfo();
      expect(messages.map(({ message }) => message)).toEqual([]);
    }
  }
});
