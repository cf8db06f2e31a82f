// The GPU that the tests of one process share.

import { openDevice } from "../../src/device/device.ts";
import { GpuOps } from "../../src/model/gpu_ops.ts";

export const device = await openDevice();
export const ops = new GpuOps(device);
