// Which device a user's choice stands for.

import { NoWebGpuError } from "../errors.ts";
import { type Device, openDevice } from "./device.ts";

/** `auto` is WebGPU where there is one. */
export type DeviceChoice = "auto" | "webgpu" | "cpu";
export const devices: readonly DeviceChoice[] = ["auto", "webgpu", "cpu"];

/**
 * On the CPU `device` is undefined, and `fallback` says why `auto` took it.
 * @throws NoWebGpuError if `webgpu` was asked for and there is none
 */
export async function chooseDevice(
  choice: DeviceChoice,
  open: () => Promise<Device> = openDevice,
): Promise<{ device: Device | undefined; fallback: string | null }> {
  if (choice === "cpu") return { device: undefined, fallback: null };
  try {
    return { device: await open(), fallback: null };
  } catch (error) {
    if (choice === "webgpu" || !(error instanceof NoWebGpuError)) throw error;
    return { device: undefined, fallback: error.message };
  }
}

/**
 * What is made on the device of a choice, and owns it from then on; where that fails, the device is destroyed.
 * @throws NoWebGpuError as chooseDevice()
 */
export async function makeOn<T>(
  choice: DeviceChoice,
  make: (device: Device | undefined, fallback: string | null) => Promise<T>,
): Promise<T> {
  const { device, fallback } = await chooseDevice(choice);
  try {
    return await make(device, fallback);
  } catch (error) {
    device?.destroy();
    throw error;
  }
}
