// Runs the cases of one kernel with a source that it is sent, for mutants.ts: a process of its own.

import { platform } from "#platform";
import { openDevice } from "../../src/device/device.ts";
import { placeholders } from "../../src/device/tensors.ts";
import { GpuOps } from "../../src/model/gpu_ops.ts";
import { halvesOf, type KernelCase, runCase, type Variant } from "../../src/verify/kernel_case.ts";
import { kernelCases } from "../../src/verify/kernel_cases.ts";
import { opsVariants } from "../../src/verify/ops_variants.ts";

export interface Task {
  kernel: string;
  /** The shader whose text is changed, the kernel's own or one of its pieces'; none where absent. */
  file?: string;
  code?: string;
  /** Runs at most, where it is enough to know how long one takes. */
  most?: number;
}

export interface Answer {
  /** "absent" where no case takes the kernel on this device, "invalid" where it does not compile. */
  outcome: "killed" | "survived" | "invalid" | "absent";
  /** The case that failed. */
  by?: string;
}

/** A case that takes longer to compute than to compile is left for the end. */
const elements = ({ inputs, outputs }: KernelCase) =>
  [
    ...Object.values(inputs).map(({ length }) => length),
    ...Object.values(outputs).map(({ size }) => size),
  ].reduce((sum, size) => sum + size, 0);
const LARGE = 30_000;
const cases = kernelCases().sort((a, b) => {
  const [x, y] = [elements(a), elements(b)];
  return x > LARGE || y > LARGE ? x - y : y - x;
});

/** The variants that run a case by the kernel, each in a way that those before it do not. */
function variantsOf(kernel: string, test: KernelCase, variants: readonly Variant[]): Variant[] {
  const sizes = Object.entries({ ...test.inputs, ...test.outputs });
  const seen = new Set<string>();
  return variants.filter((variant) => {
    const before = seen.size;
    for (const half of halvesOf(test, variant)) {
      const table = sizes.map(([name, tensor]) => ({
        name,
        shape: ["length" in tensor ? tensor.length : tensor.size],
        ...(half.includes(name) && { dtype: "f16" as const }),
      }));
      const dispatch = test.dispatch(variant.ops, placeholders(table));
      if (dispatch.kernel === kernel) seen.add(JSON.stringify([dispatch.constants, half]));
    }
    return seen.size > before;
  });
}

async function judge({ kernel, file, code, most = Infinity }: Task): Promise<Answer> {
  const shaders = { ...platform.shaders(), ...(file && { [file]: code! }) };
  const device = await openDevice({ gpu: () => platform.gpu(), shaders: () => shaders });
  try {
    device.gpu.pushErrorScope("validation");
    const module = device.gpu.createShaderModule({ code: device.kernels.source(kernel) });
    const { messages } = await module.getCompilationInfo();
    await device.gpu.popErrorScope();
    if (messages.some(({ type }) => type === "error")) return { outcome: "invalid" };
    // What hardware is given too: other threads for the same kernels.
    const hardware = new GpuOps(
      Object.create(device, { lanes: { value: 32 }, software: { value: false } }),
    );
    const variants = [...opsVariants(device), { ops: hardware, dtype: "f32" } as const];
    let runs = 0;
    for (const test of cases) {
      const mine = variantsOf(kernel, test, variants);
      for (const variant of mine) {
        if (runs >= most) return { outcome: "survived" };
        process.send!(`${test.kernel}: ${test.name}`);
        runs++;
        const { pass } = await runCase(device, [variant], test);
        if (!pass) return { outcome: "killed", by: test.name };
      }
    }
    return { outcome: runs > 0 ? "survived" : "absent" };
  } catch (error) {
    return { outcome: "killed", by: String(error) };
  } finally {
    device.destroy();
  }
}

// Not by exit(), which waits for the device: it may be in a loop without an end.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", async (task: Task) => process.send!(await judge(task)));
