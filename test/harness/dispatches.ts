// What the cases dispatch, on the kernels of every kind of device: compiled and run nowhere.

import type { Device } from "../../src/device/device.ts";
import { caseDispatches } from "../../src/verify/case_dispatches.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { opsVariants } from "../../src/verify/ops_variants.ts";

/** As hardware with matrix units is. */
function hardware(device: Device): Device {
  const unit = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
  const info = { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs: [unit] };
  const limits = {
    maxComputeWorkgroupsPerDimension: 65535,
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 49152,
  };
  return Object.create(device, {
    info: { value: info },
    gpu: { value: { limits } },
    software: { value: false },
    lanes: { value: 32 },
    features: { value: ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"] },
  });
}

/** As software GPUs are. */
function software(device: Device, lanes: number): Device {
  const info = { subgroupMinSize: lanes, subgroupMaxSize: lanes };
  return Object.create(device, {
    info: { value: info },
    software: { value: true },
    lanes: { value: lanes },
    features: { value: ["shader-f16", "subgroups"] },
  });
}

/** Of all cases, with the choices of kernels of hardware and of software GPUs, whatever the device is. */
export function dispatchesOf(device: Device) {
  const variants = [device, software(device, 8), hardware(device)].flatMap(opsVariants);
  return kernelCases().flatMap((kernelCase) =>
    caseDispatches(kernelCase, variants).map((made) => ({ ...made, most: kernelCase.most })),
  );
}
