// A share of doctor's checks, for Deno: a case of every kernel, on what the device would choose; the forward product
// and attention on other choices too; and a model's gradients. It prints a line of JSON for each.
//
//   npx deno run -A --unstable-webgpu test/harness/wgpu_rows.ts
//
// All checks are those of `npx deno run -A --unstable-webgpu cli/start.js doctor`.

import { openDevice } from "../../src/device/device.ts";
import { checkGradients, type CheckResult, modelsFor } from "../../src/verify/certify.ts";
import { runCase } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { opsVariants } from "../../src/verify/ops_variants.ts";

const print = (result: object) => console.log(JSON.stringify(result));

const device = await openDevice();
print({ type: "device", name: device.name });
const variants = opsVariants(device);
const cases = Map.groupBy(kernelCases(), ({ kernel }) => kernel);
for (const [kernel, ofKernel] of cases) {
  const tried = ["matmul_forward", "attention_forward"].includes(kernel)
    ? variants.filter(({ dtype }) => dtype === "f32")
    : variants.slice(0, 1);
  // They go from small to large, and so does what must be compiled for them.
  print(await runCase(device, tried, ofKernel[ofKernel.length >> 1]));
}
const models = modelsFor(device).filter(({ name }) => name.startsWith("microgpt"));
for (const { name, overrides } of models) {
  print((await checkGradients(device, name, overrides)) satisfies CheckResult);
}
device.destroy();
