// The GPU that the tests of one process share.

import { openDevice } from "../../src/device/device.ts";
import { opsVariants } from "../../src/verify/ops_variants.ts";

export const device = await openDevice();
/** Every choice of kernels that the device can run; the first is the one that trains. */
export const variants = opsVariants(device);
