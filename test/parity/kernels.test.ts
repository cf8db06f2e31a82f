// Kernels against the float64 reference, in Node and in the browser. The cases are doctor's.

import { expect, test } from "vitest";
import type { Dispatch } from "../../src/device/schedule.ts";
import { type KernelCase, runCase } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { testCases } from "../harness/cases.ts";
import { device, variants } from "../harness/device.ts";

// Products and attention have files of their own, so that what compiles for long does so side by side.
testCases((kernel) => !kernel.startsWith("matmul") && !kernel.startsWith("attention"));

/** A small case with its dispatch spoilt. */
function spoilt(change: (dispatch: Dispatch) => Dispatch): KernelCase {
  const healthy = kernelCases().find(
    (c) => c.kernel === "rmsnorm_forward" && c.name === "N 2, C 33",
  )!;
  return { ...healthy, dispatch: (ops, tensors) => change(healthy.dispatch(ops, tensors)) };
}

const find = (change: (dispatch: Dispatch) => Dispatch) =>
  runCase(device, variants.slice(0, 1), spoilt(change));

test("a kernel that leaves an element out is found", async () => {
  const result = await find((d) => ({ ...d, sizes: { ...d.sizes, N: 0 } }));
  expect(result).toMatchObject({ pass: false, detail: "did not write out[0]" });
});

test("a kernel that writes past its tensor is found", async () => {
  const result = await find((d) => ({
    ...d,
    sizes: { ...d.sizes, N: d.sizes.N + 1 },
    grid: [d.sizes.N + 1, 1, 1],
  }));
  expect(result.pass).toBe(false);
  expect(result.detail).toMatch(/^wrote to (out|rstd)\[\d+\], which is not its to write/);
});

test("a kernel that changes an input is found", async () => {
  const result = await find(({ bindings: { out, inp, ...rest }, ...d }) => ({
    ...d,
    bindings: { ...rest, out: inp, inp: out },
  }));
  expect(result.pass).toBe(false);
  expect(result.detail).toMatch(/^wrote to inp/);
});

test("a kernel that computes something else is found", async () => {
  const healthy = kernelCases().find(({ name }) => name.endsWith("relu_squared"))!;
  const sizes = { N: 1, C: 2, OC: 2, activation: "relu" } as const;
  const result = await runCase(device, variants, {
    ...healthy,
    inputs: { inp: Float32Array.of(1, 2), weight: Float32Array.of(1, 1, 0, 1) },
    outputs: { act: { size: 2, allowed: 1e-3 } },
    dispatch: (ops, t) => ops.matmulActivationForward(t.act, t.inp, t.weight, sizes),
    reference: ({ act }) => act.set([9, 4]),
  });
  expect(result).toMatchObject({ pass: false });
  expect(result.error).toBeGreaterThan(0.1);
});
