// What the cases dispatch, before anything is run: with which kernels, on tensors of which type.

import type { Dispatch } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";
import type { KernelCase, Variant } from "./kernel_case.ts";

/** The dispatches of a case by each variant, on tensors that have no buffers. */
export function caseDispatches(kernelCase: KernelCase, variants: readonly Variant[]): Dispatch[] {
  const sizes = Object.entries({ ...kernelCase.inputs, ...kernelCase.outputs });
  const tensors = (half: readonly string[]) =>
    Object.fromEntries(
      sizes.map(([name, tensor]): [string, Tensor] => {
        const shape = ["length" in tensor ? tensor.length : tensor.size];
        const dtype = half.includes(name) ? "f16" : undefined;
        return [name, { name, shape, dtype, buffer: undefined as never, offset: 0, size: 0 }];
      }),
    );
  return variants.flatMap(({ ops, dtype }) =>
    (dtype === "f16" ? (kernelCase.half ?? []) : [[]]).map((half) =>
      kernelCase.dispatch(ops, tensors(half)),
    ),
  );
}
