// What the cases dispatch, before anything is run: with which kernels, on tensors of which type.

import type { Dispatch } from "../device/schedule.ts";
import { placeholders } from "../device/tensors.ts";
import { halvesOf, type KernelCase, type Variant } from "./kernel_case.ts";

interface CaseDispatch {
  dispatch: Dispatch;
  /** The tensors that hold f16. */
  half: readonly string[];
}

/** The dispatches of a case by each variant, on tensors that have no buffers. */
export function caseDispatches(
  kernelCase: KernelCase,
  variants: readonly Variant[],
): CaseDispatch[] {
  const sizes = Object.entries({ ...kernelCase.inputs, ...kernelCase.outputs });
  const tensors = (half: readonly string[]) =>
    placeholders(
      sizes.map(([name, tensor]) => ({
        name,
        shape: ["length" in tensor ? tensor.length : tensor.size],
        ...(half.includes(name) && { dtype: "f16" as const }),
      })),
    );
  return variants.flatMap((variant) =>
    halvesOf(kernelCase, variant).map((half) => ({
      dispatch: kernelCase.dispatch(variant.ops, tensors(half)),
      half,
    })),
  );
}
