// The angles that q and k are turned by (rope), a pair of channels (i, i + HS / 2) at position t by t · theta^(-2i / HS):
// made once, in float64, so that the CPU and every GPU turn by the same.

import { isRope } from "../choices.ts";
import type { Device } from "../device/device.ts";
import { type Tensor, type TensorSpec, writeTensor } from "../device/tensors.ts";
import type { ForwardConfig } from "./forward_config.ts";
import type { Dims } from "./parameters.ts";

/** cos and sin (T, HS / 2) of the angles. */
export interface Turns {
  cos: Float64Array;
  sin: Float64Array;
}

/** For up to T positions. */
export function turnsOf(theta: number, { T, HS }: Pick<Dims, "T" | "HS">): Turns {
  const half = HS / 2;
  const angles = Float64Array.from(
    { length: T * half },
    (_, i) => Math.floor(i / half) * theta ** ((-2 * (i % half)) / HS),
  );
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
}

/** (T, HS / 2, 2): cos and sin of every angle side by side, as the kernels read them. */
export function turnTable({ cos, sin }: Turns): Float32Array {
  return Float32Array.from({ length: 2 * cos.length }, (_, i) => (i % 2 === 0 ? cos : sin)[i >> 1]);
}

/** The tensor of such a table, if the model turns by one. */
export function turnSpecs(
  { position }: Pick<ForwardConfig, "position">,
  { T, HS }: Pick<Dims, "T" | "HS">,
): TensorSpec[] {
  return isRope(position) ? [{ name: "turns", shape: [T, HS / 2, 2] }] : [];
}

/** Fills it; nothing writes to it later. */
export function writeTurns(
  device: Device,
  { rope_theta }: Pick<ForwardConfig, "rope_theta">,
  dims: Pick<Dims, "T" | "HS">,
  { turns }: Record<string, Tensor>,
): void {
  if (turns) writeTensor(device, turns, turnTable(turnsOf(rope_theta, dims)));
}
