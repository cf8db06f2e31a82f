// The reference's gradients against finite differences of its loss.

import { expect } from "vitest";
import type { Noise, ReferenceGpt } from "../../src/reference/gpt.ts";
import type { Batch } from "../../src/text/batches.ts";

const STEP = 1e-6;

/**
 * Expects every gradient of a batch to be what the loss changes by, and returns them.
 * @param noise the step whose dropout is meant; undefined where nothing is left out
 */
export function expectGradients(gpt: ReferenceGpt, batch: Batch, noise?: Noise): Float64Array {
  const { params } = gpt;
  const loss = () => {
    gpt.forward(batch, noise);
    return gpt.loss(batch);
  };
  loss();
  gpt.backward(batch);
  const grads = gpt.grads.slice();
  for (let i = 0; i < params.length; i++) {
    const value = params[i];
    params[i] = value + STEP;
    const above = loss();
    params[i] = value - STEP;
    const below = loss();
    params[i] = value;
    const numeric = (above - below) / (2 * STEP);
    expect(Math.abs(numeric - grads[i])).toBeLessThan(1e-5 + 1e-3 * Math.abs(numeric));
  }
  return grads;
}
