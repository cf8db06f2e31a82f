// The operations of adapters that are no products, as dispatches of their kernels, named as their twins in the reference.

import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";
import type { LinearAdapters } from "./adapters.ts";
import { elements } from "./workgroups.ts";

/** Of a linear layer's adapters; `scale` is the factor on what they add. */
export interface AdapterSizes extends Pick<LinearAdapters, "R" | "parts"> {
  scale: number;
}

/** @param out (OC, S·R), of b (rows of all parts, R) */
export function adapterSpread(
  device: Device,
  out: Tensor,
  b: Tensor,
  { OC, ...sizes }: AdapterSizes & { OC: number },
): Dispatch {
  const { WG, grid } = elements(device, OC * sizes.parts.length * sizes.R);
  return {
    op: "adapter_spread",
    kernel: "adapter_spread",
    constants: { WG },
    sizes: { OC, ...placesOf(sizes) },
    bindings: { out, b },
    grid,
  };
}

/** @param db (rows of all parts, R), of dweight (OC, S·R) */
export function adapterGather(
  device: Device,
  db: Tensor,
  dweight: Tensor,
  sizes: AdapterSizes,
): Dispatch {
  const rows = sizes.parts.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const { WG, grid } = elements(device, rows * sizes.R);
  return {
    op: "adapter_gather",
    kernel: "adapter_gather",
    constants: { WG },
    sizes: placesOf(sizes),
    bindings: { db, dweight },
    grid,
  };
}

function placesOf({ R, parts, scale }: AdapterSizes) {
  const none = { begin: 0, end: 0 };
  const [first, second = none, third = none] = parts;
  return {
    R,
    parts: parts.length,
    begin0: first.begin,
    end0: first.end,
    begin1: second.begin,
    end1: second.end,
    begin2: third.begin,
    end2: third.end,
    scale,
  };
}
