// Weights that half precision has no number for.

import { HALF_END } from "../device/half.ts";
import { isGain, type ParameterLayout } from "./parameters.ts";

/**
 * The first of them, for a sentence; null where there is none. Gains are not asked, which stay in f32.
 * @param values flat in the layout's order
 */
export function beyondHalf(
  layout: ParameterLayout,
  values: Float32Array | Float64Array,
): string | null {
  for (const slice of layout.slices) {
    if (isGain(slice)) continue;
    const { name, offset, size } = slice;
    for (let i = offset; i < offset + size; i++) {
      if (Math.abs(values[i]) < HALF_END) continue;
      return `${name} has a weight of ${values[i]}, and half precision ends at 65504`;
    }
  }
  return null;
}
