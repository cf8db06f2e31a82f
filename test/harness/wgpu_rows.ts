// A share of doctor's checks, for Deno: a case of every kernel but the one that trains small models, which the command
// line does (test/cli/deno.test.ts), on what the device would choose; the forward product and attention on other
// choices too. It prints a line of JSON for each.
//
//   npx deno run -A --unstable-webgpu test/harness/wgpu_rows.ts
//
// All checks are those of `npx deno run -A --unstable-webgpu cli/start.js doctor`.

import { openDevice } from "../../src/device/device.ts";
import { groupBy } from "../../src/group_by.ts";
import { runCase } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { opsVariants } from "../../src/verify/ops_variants.ts";

const print = (result: object) => console.log(JSON.stringify(result));

const device = await openDevice();
print({ type: "device", name: device.name });
const variants = opsVariants(device);
const wanted = kernelCases().filter(({ kernel }) => kernel !== "small_train");
const cases = groupBy(wanted, ({ kernel }) => kernel);
for (const [kernel, ofKernel] of cases) {
  const tried = ["matmul_forward", "attention_forward"].includes(kernel)
    ? variants.filter(({ dtype }) => dtype === "f32")
    : variants.slice(0, 1);
  // They go from small to large, and so does what must be compiled for them.
  print(await runCase(device, tried, ofKernel[ofKernel.length >> 1]));
}
device.destroy();
