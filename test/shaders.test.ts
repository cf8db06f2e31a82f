// No kernel without a name that fits, a reference and a case.

import { expect, test } from "vitest";
import * as adapters from "../src/reference/adapters.ts";
import * as activations from "../src/reference/activations.ts";
import * as attention from "../src/reference/attention.ts";
import * as heads from "../src/reference/heads.ts";
import * as dropout from "../src/reference/dropout.ts";
import * as gains from "../src/reference/gains.ts";
import * as ops from "../src/reference/ops.ts";
import * as drawing from "../src/reference/draw_token.ts";
import * as optimizers from "../src/reference/optimizers.ts";
import * as textRows from "../src/reference/text_rows.ts";
import * as small from "../src/small/reference.ts";
import { attentionFamilies } from "../src/model/attention.ts";
import { GpuOps } from "../src/model/gpu_ops.ts";
import * as adapterOps from "../src/model/adapter_ops.ts";
import * as optimizerOps from "../src/model/optimizer_ops.ts";
import * as headOps from "../src/model/head_ops.ts";
import { RowOps } from "../src/model/row_ops.ts";
import * as textOps from "../src/model/text_ops.ts";
import * as smallOps from "../src/small/ops.ts";
import { gridOf } from "../src/device/schedule.ts";
import { device } from "./harness/device.ts";
import { dispatchesOf } from "./harness/dispatches.ts";

const kernels = device.kernels.names;
const references: Record<string, unknown> = {
  ...ops,
  ...activations,
  ...adapters,
  ...attention,
  ...dropout,
  ...gains,
  ...heads,
  ...optimizers,
  ...drawing,
  ...textRows,
  ...small,
};

/** Kernels that the cases dispatch, with the operations they were dispatched for. */
const dispatched = new Map<string, Set<string>>();
/** Those that a case dispatches on a grid of several rows. */
const inRows = new Set<string>();
for (const { most, dispatch } of dispatchesOf(device)) {
  const { op, kernel, grid } = dispatch;
  if (most !== undefined && grid[0] > most) inRows.add(kernel);
  if (!dispatched.has(kernel)) dispatched.set(kernel, new Set());
  dispatched.get(kernel)!.add(op);
}

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

test.each(kernels)("%s.wgsl has an entry point, a reference and a case", (kernel) => {
  const wgsl = device.kernels.source(kernel);
  expect(wgsl).toMatch(new RegExp(`@compute[^\\n]*\\nfn ${kernel}\\(`));
  const line = /\/\/ reference: ((.*,\n\/\/ )*.*)/.exec(wgsl)?.[1] ?? "";
  const named = line.match(/\w+\(\)/g) ?? [];
  expect(named.length).toBeGreaterThan(0);
  for (const name of named) expect(references[name.replace("()", "")]).toBeTypeOf("function");
  expect([...(dispatched.get(kernel) ?? [])].map((op) => `${camel(op)}()`).sort()).toEqual(
    named.toSorted(),
  );
});

const counting = kernels.filter((kernel) =>
  /\w+\.y \* groups\.x/.test(device.kernels.source(kernel)),
);

test.each(counting)(
  "%s.wgsl, which counts workgroups row by row, has a case with rows",
  (kernel) => {
    expect(inRows).toContain(kernel);
  },
);

test("more workgroups than the device takes along x make rows, none of them missing", () => {
  const limits = { maxComputeWorkgroupsPerDimension: 65535 };
  const grid = (count: number) => gridOf({ gpu: { limits } } as never, count);
  expect([grid(1), grid(65535)]).toEqual([
    [1, 1, 1],
    [65535, 1, 1],
  ]);
  expect([grid(65536), grid(131070), grid(131071)]).toEqual([
    [65535, 2, 1],
    [65535, 2, 1],
    [65535, 3, 1],
  ]);
});

test("attention is made in tiles where a workgroup has the memory and the threads", () => {
  const kernels = (
    maxComputeWorkgroupStorageSize: number,
    maxComputeInvocationsPerWorkgroup = 256,
  ) => {
    const limits = { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup };
    return attentionFamilies({ lanes: 32, features: [], info: {}, gpu: { limits } } as never)[0];
  };
  expect([kernels(16384), kernels(32768), kernels(32768, 64)]).toEqual(["rows", "tiles", "rows"]);
});

test("every operation of the GPU has a case", () => {
  const methods = [
    ...new Set([GpuOps, RowOps].flatMap((ops) => Object.getOwnPropertyNames(ops.prototype))),
    ...Object.keys(new GpuOps(device)),
    ...Object.keys(headOps),
    ...Object.keys(adapterOps),
    ...Object.keys(optimizerOps),
    ...Object.keys(smallOps),
    ...Object.keys(textOps).filter((name) => !/^[A-Z]/.test(name)),
  ];
  const helpers = [
    "constructor",
    "device",
    "choices",
    "grid",
    "rowThreads",
    "elements",
    "MUON_CHUNK",
    "smallTuning",
    "headParts",
    "headThreads",
    "wanted",
    "idWords",
  ];
  const shared = ["attention", "product", "norm", "activation", "leaveOut"];
  const tested = new Set([...dispatched.values()].flatMap((set) => [...set].map(camel)));
  expect(methods.filter((m) => ![...helpers, ...shared].includes(m)).sort()).toEqual(
    [...tested].sort(),
  );
});
