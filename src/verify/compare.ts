// How far a result is from the reference.

/** Unit roundoff of float32: half the distance between 1 and the next number. */
export const UNIT_ROUNDOFF = 2 ** -24;

/** Relative error that is allowed to softmax, norms, cross-entropy and the optimizer, in float32. */
export const NORM_BOUND = 1e-6;

/** Relative error that is allowed to an element's own arithmetic, a few roundings. */
export const ELEMENT_BOUND = 4 * UNIT_ROUNDOFF;

/**
 * Relative error in the Frobenius norm, ‖found - expected‖ / ‖expected‖; ‖found‖ where all of expected is 0.
 * Infinity if a number is finite in one of them only.
 */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(found[i]) !== Number.isFinite(expected[i])) return Infinity;
    if (!Number.isFinite(found[i])) continue;
    difference += (found[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return Math.sqrt(size > 0 ? difference / size : difference);
}
