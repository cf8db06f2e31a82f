// What the cases dispatch, before anything is run: with which kernels, on tensors of which type.

import type { Dispatch } from "../device/schedule.ts";
import { placeholders } from "../device/tensors.ts";
import type { KernelCase, Variant } from "./kernel_case.ts";

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
  return variants.flatMap(({ ops, dtype }) =>
    (dtype === "f16" ? (kernelCase.half ?? []) : [[]]).map((half) => ({
      dispatch: kernelCase.dispatch(ops, tensors(half)),
      half,
    })),
  );
}
