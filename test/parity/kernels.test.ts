// Every kernel against the float64 reference, in Node and in the browser. The cases are doctor's.

import { expect, test } from "vitest";
import type { Dispatch } from "../../src/device/schedule.ts";
import { type KernelCase, runCase } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { device, variants } from "../harness/device.ts";

for (const kernelCase of kernelCases()) {
  test(`${kernelCase.kernel}: ${kernelCase.name}`, async () => {
    const result = await runCase(device, variants, kernelCase);
    expect(result.pass || result).toBe(true); // the whole result is shown if it fails
  });
}

/** The first ReLU case with its dispatch spoilt. */
function spoilt(change: (dispatch: Dispatch) => Dispatch): KernelCase {
  const healthy = kernelCases().find(({ kernel }) => kernel === "relu_forward")!;
  return { ...healthy, dispatch: (o, tensors) => change(healthy.dispatch(o, tensors)) };
}

test("a kernel that leaves an element out is found", async () => {
  const result = await runCase(
    device,
    variants,
    spoilt((d) => ({ ...d, sizes: { size: 0 } })),
  );
  expect(result).toMatchObject({ pass: false, detail: "did not write out[0]" });
});

test("a kernel that writes past its tensor is found", async () => {
  const result = await runCase(
    device,
    variants,
    spoilt((d) => ({ ...d, sizes: { size: d.sizes.size + 1 } })),
  );
  expect(result.pass).toBe(false);
  expect(result.detail).toMatch(/^wrote to out\[1\]/);
});

test("a kernel that changes an input is found", async () => {
  const result = await runCase(
    device,
    variants,
    spoilt(({ bindings: { out, inp }, ...d }) => ({ ...d, bindings: { out: inp, inp: out } })),
  );
  expect(result.pass).toBe(false);
});

test("a kernel that computes something else is found", async () => {
  const healthy = kernelCases().find(({ kernel }) => kernel === "relu_squared_forward")!;
  const result = await runCase(device, variants, {
    ...healthy,
    dispatch: (o, t) => o.reluForward(t.out, t.inp, { size: healthy.inputs.inp.length }),
    inputs: { inp: new Float32Array(healthy.inputs.inp.length).fill(3) },
  });
  expect(result.pass).toBe(false);
});
