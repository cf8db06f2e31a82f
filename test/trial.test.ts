// Pipelines for matrix units are made in a process of their own first: one that dies, hangs or succeeds, and what is
// remembered of it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { platform } from "#platform";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { resolveConfig } from "../src/config.ts";
import type { Device } from "../src/device/device.ts";
import { matrixUnit } from "../src/device/matrix_unit.ts";
import { digest } from "../src/device/adapter_memory.ts";
import { type Dispatch, pipelineSpec } from "../src/device/schedule.ts";
import { placeholders } from "../src/device/tensors.ts";
import { tryMatrices } from "../src/device/trial.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { child as spawned } from "../src/platform/child.node.ts";
import type { Child } from "../src/platform/platform.ts";
import { summaryOf, tune } from "../src/tuning/tune.ts";
import { device } from "./harness/device.ts";

/** The device as hardware with matrix units, of a driver that has not been tried. */
function hardware(description = "driver 1", software = false): Device {
  const unit = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
  const info = {
    description,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    subgroupMatrixConfigs: [unit],
  };
  return Object.create(device, {
    name: { value: "Acme 1" },
    info: { value: info },
    software: { value: software },
    lanes: { value: 32 },
    features: { value: ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"] },
    matrixFault: { value: undefined, writable: true },
  });
}

const overrides = { n_embd: 64, n_head: 2, batch_size: 4, block_size: 32 };
const config = resolveConfig("microgpt", { ...overrides, dtype: "f16" });
const dims = dimsOf(config, 68);

function dispatchesOf(on: Device): Dispatch[] {
  const { table, list } = planStep(on, config, dims);
  return list(placeholders(table));
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "microgpt-trial-"));
  vi.stubEnv("MICROGPT_CACHE_DIR", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** A real process, whose script is `code` after `open`, what it is to make. */
function childOf(code: string): Child & { calls: number } {
  const script = join(folder, "child.mjs");
  writeFileSync(
    script,
    `import { text } from "node:stream/consumers";
const open = JSON.parse(await text(process.stdin));
const made = (names) => process.stdout.write(names.map(([name]) => name + "\\n").join(""));
${code}`,
  );
  const child: Child & { calls: number } = Object.assign(
    (_: URL, ...rest: [string, number, AbortSignal?]) => {
      child.calls++;
      return spawned(pathToFileURL(script), ...rest);
    },
    { calls: 0 },
  );
  return child;
}

const dies = `made(open.slice(0, 1)); process.kill(process.pid, "SIGSEGV"); setTimeout(() => {}, 5000);`;

test("where it dies, matrix units are left alone, with a sentence, and it is not tried again", async () => {
  const [first, second, newer] = [hardware(), hardware(), hardware("driver 2")];
  const child = childOf(dies);
  await tryMatrices(first, () => dispatchesOf(first), { child });
  expect(first.matrixFault).toMatch(
    /^the driver of Acme 1 does not survive .*: SIGSEGV\), so they are left alone, and training is slower; .*pipelines\.json$/,
  );
  expect(matrixUnit(first)).toBeUndefined();
  expect(dispatchesOf(first).filter(({ kernel }) => kernel.endsWith("_matrix"))).toEqual([]);
  await tryMatrices(second, () => dispatchesOf(second), { child });
  expect(second.matrixFault).toBe(first.matrixFault);
  expect(child.calls).toBe(1);
  await tryMatrices(newer, () => dispatchesOf(newer), { child });
  expect(child.calls).toBe(2); // another driver
});

test("where it hangs, it is ended, and its matrix units are left alone too", async () => {
  const on = hardware();
  await tryMatrices(on, () => dispatchesOf(on), {
    child: childOf(`made(open.slice(0, 1)); setInterval(() => {}, 1000);`),
    quiet_ms: 1000,
  });
  expect(on.matrixFault).toMatch(/it did nothing for 1 s/);
});

test("where it makes them all, they are used, and only others are tried again", async () => {
  const on = hardware();
  const child = childOf(`made(open);`);
  const all = dispatchesOf(on);
  const some = all.filter(({ kernel }) => kernel === "matmul_matrix");
  expect(some.length).toBeGreaterThan(0);
  for (const dispatches of [some, some, all, all]) {
    await tryMatrices(on, () => dispatches, { child });
    expect(on.matrixFault).toBeUndefined();
  }
  expect(child.calls).toBe(2);
  const file = JSON.parse(readFileSync(join(folder, "pipelines.json"), "utf8"));
  const names = await Promise.all(
    all
      .filter(({ kernel }) => kernel.endsWith("_matrix"))
      .map((dispatch) => digest(JSON.stringify(pipelineSpec(dispatch)))),
  );
  const [{ made }] = Object.values(file.adapters) as { made: string[] }[];
  expect(made.toSorted()).toEqual([...new Set(names)].sort());
});

test.each([
  ["it dies after the last one", `made(open); setTimeout(() => process.abort(), 50);`],
  ["somebody stops it", `process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 5000);`],
  ["it ends with an error, having no device for one", `process.exit(1);`],
  ["it cannot read", `process.stdin.destroy(); process.exit(0);`],
])("that is no reason to leave them alone: %s", async (_, code) => {
  const on = hardware();
  await tryMatrices(on, () => dispatchesOf(on), { child: childOf(code) });
  expect(on.matrixFault).toBeUndefined();
  expect(matrixUnit(on)).toBeDefined();
});

test("a signal ends it, and nothing is remembered", async () => {
  const on = hardware();
  const child = childOf(`setInterval(() => {}, 1000);`);
  await tryMatrices(on, () => dispatchesOf(on), { child, signal: AbortSignal.timeout(300) });
  expect(on.matrixFault).toBeUndefined();
  expect(() => readFileSync(join(folder, "pipelines.json"))).toThrow(/ENOENT/);
});

test("a memory that is damaged is no more than forgotten", async () => {
  const child = childOf(`made(open);`);
  for (const text of ["", "{", `{"format":1,"adapters":{"x":{"made":[1]}}}`, `{"format":2}`]) {
    writeFileSync(join(folder, "pipelines.json"), text);
    const on = hardware();
    await tryMatrices(on, () => dispatchesOf(on), { child });
    expect(on.matrixFault).toBeUndefined();
  }
  expect(child.calls).toBe(4);
});

test("nothing is tried in software, without processes to be had, and where no kernel is for matrix units", async () => {
  const child = childOf(dies);
  const software = hardware("driver 1", true);
  await tryMatrices(software, () => dispatchesOf(hardware()), { child });
  await tryMatrices(hardware(), () => dispatchesOf(device), { child });
  expect(child.calls).toBe(0);
  try {
    platform.child = undefined;
    const on = hardware();
    await tryMatrices(on, () => dispatchesOf(on));
    expect(on.matrixFault).toBeUndefined();
  } finally {
    platform.child = spawned;
  }
});

test("tuning tries them first, and chooses among what is left", async () => {
  try {
    platform.child = childOf(dies);
    const on = hardware();
    const tuning = await tune(on, config, dims, { mode: "off" });
    expect(tuning.choices.filter(({ variant }) => variant.startsWith("matmul_matrix"))).toEqual([]);
    expect(summaryOf(tuning).matrix_fault).toMatch(/SIGSEGV/);
  } finally {
    platform.child = spawned;
  }
});

test("the script makes pipelines on the device that it finds, and passes over one that is none", async () => {
  const spec = pipelineSpec(dispatchesOf(device).find(({ kernel }) => kernel === "gradient_sum")!);
  const wrong = { ...spec, constants: { ...spec.constants, NOWHERE: 1 } };
  const open = [
    ["good", spec],
    ["wrong", wrong],
  ];
  const script = new URL("../src/device/trial_child.ts", import.meta.url);
  const { lines, death } = await spawned(script, JSON.stringify(open), 60_000);
  expect(death).toBeNull();
  expect(lines.toSorted()).toEqual(["good", "wrong"]);
});
