// Which device a user's choice stands for, and the one that all runs of a process share.

import { platform } from "#platform";
import { duration } from "../duration.ts";
import { NoWebGpuError } from "../errors.ts";
import { type Device, openDevice } from "./device.ts";

/** `auto` is WebGPU where there is one. */
export type DeviceChoice = "auto" | "webgpu" | "cpu";
export const devices: readonly DeviceChoice[] = ["auto", "webgpu", "cpu"];

/** Seconds that some work takes, roughly: on the CPU, and on a GPU in software, which has to compile first. */
export interface Estimate {
  cpu: number;
  software: number;
}

export interface ChosenDevice {
  /** Undefined on the CPU. */
  device: Device | undefined;
  /** Why there was no GPU for `auto` to take; null where there was, and where the device was asked for. */
  fallback: string | null;
  /** Why `auto` took the one or the other of the CPU and a GPU in software; null where that was no question. */
  device_reason: string | null;
}

/** Seconds on the CPU from which on a GPU is missed. */
const LONG_S = 5;

/** Gives everyone who asks the same device, and another one once that has failed. */
export function sharing(open: () => Promise<Device>): () => Promise<Device> {
  let shared: Promise<Device> | undefined;
  return async () => {
    const before = shared;
    const failed = await before?.then(
      (device) => device.failed && device,
      () => true,
    );
    if (failed && shared === before) {
      if (failed !== true) failed.destroy();
      shared = undefined;
    }
    return (shared ??= open());
  };
}

/**
 * The device that all runs of this process share, and what it has compiled. It is never destroyed: what drivers keep
 * of every device that ever was would add up.
 * @throws NoWebGpuError as openDevice()
 */
export const sharedDevice = sharing(() => openDevice());

/**
 * @param estimate of the work, by which `auto` chooses between the CPU and a GPU in software; the GPU where absent
 * @throws NoWebGpuError if `webgpu` was asked for and there is none
 */
export async function chooseDevice(
  choice: DeviceChoice,
  estimate?: Estimate,
  open: () => Promise<Device> = sharedDevice,
): Promise<ChosenDevice> {
  const [fallback, device_reason] = [null, null];
  if (choice === "cpu") return { device: undefined, fallback, device_reason };
  try {
    const device = await open();
    if (choice === "webgpu" || !device.software || !estimate) {
      return { device, fallback, device_reason };
    }
    const onCpu = estimate.cpu < estimate.software;
    return {
      device: onCpu ? undefined : device,
      fallback,
      device_reason:
        `about ${duration(estimate.cpu)} on the CPU, ${duration(estimate.software)} on ` +
        `${onCpu ? "a" : "this"} GPU in software that may have to compile`,
    };
  } catch (error) {
    if (choice === "webgpu" || !(error instanceof NoWebGpuError)) throw error;
    return { device: undefined, fallback: error.message + missed(estimate), device_reason };
  }
}

/** What the want of a GPU costs, where that is much, and what helps. */
function missed(estimate: Estimate | undefined): string {
  if (!estimate || estimate.cpu < LONG_S) return "";
  const { cpu, software } = estimate;
  const { softwareGpu } = platform;
  const help =
    softwareGpu !== null && software < cpu
      ? `; ${softwareGpu} brings a GPU in software, which takes about ${duration(software)}`
      : "";
  return ` On the CPU it takes about ${duration(cpu)}${help}.`;
}
