// Weights that leave are finite, and in half precision no larger than it goes.

import { HALF_END } from "../device/half.ts";
import { ModelFileError } from "../errors.ts";
import { floatRange } from "../files/floats.ts";
import { checkFinite } from "../files/model_files.ts";

/**
 * @param half whether they are written in f16
 * @throws ModelFileError if one of them cannot be written
 */
export function checkWeights(
  values: Float32Array | Float64Array,
  name: string,
  half: boolean,
): void {
  checkFinite(values, name, "The model", floatRange);
  const weight = half ? values.find((x) => Math.abs(x) >= HALF_END) : undefined;
  if (weight === undefined) return;
  throw new ModelFileError(
    `${name} has a weight of ${weight}, and half precision ends at 65504; export without half precision.`,
  );
}
