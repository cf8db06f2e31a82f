// The GPU that the tests of one process share, with the runs that are opened in it.

import { sharedDevice } from "../../src/device/choose.ts";
import { opsVariants } from "../../src/verify/ops_variants.ts";

export const device = await sharedDevice();
/** Every choice of kernels that the device can run; the first is the one that trains. */
export const variants = opsVariants(device);
