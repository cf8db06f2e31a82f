// Every kernel that a device can run gets its turn in the checks, whatever the device would choose.

import type { Device } from "../device/device.ts";
import { matrixUnit } from "../device/matrix_unit.ts";
import { attentionFamilies } from "../model/attention.ts";
import { type Choices, GpuOps } from "../model/gpu_ops.ts";
import { fewRowsVariant, MATRIX_TILES, WIDE_TILES } from "../model/product.ts";
import type { Variant } from "./kernel_case.ts";

/**
 * What a software GPU would never take itself compiles there for minutes in f16: of so many cases of an operation one is
 * run, among them one of each whose sizes every kernel serves.
 */
const SHARE = 7;

const PLAIN = "matmul 64x64";

/** Choices that together take every kernel this device can run; the first is the one it is given. */
export function opsVariants(device: Device): Variant[] {
  // Software GPUs compile for long: of the tiles, one a thread loads a block for, and one with two.
  const tiles = device.software ? [WIDE_TILES[0], WIDE_TILES[2]] : WIDE_TILES;
  const products = [PLAIN, ...tiles.map((tile) => `matmul_wide ${tile.join("x")}`)];
  const families = attentionFamilies(device).filter(
    (family) => family === "tiles" || family === "rows",
  );
  const forced = products.map((name, i) => {
    const attention = families[i % families.length];
    return new GpuOps(device, { product: force(device, name), attention });
  });
  const few = new GpuOps(device, {
    product: ({ transposed, pair }, [first]) =>
      transposed && !pair ? fewRowsVariant(device) : first,
  });
  const all = [new GpuOps(device), few, ...forced];
  const byMatrices = MATRIX_TILES.map(({ tile }) => {
    const product = force(device, `matmul_matrix ${tile.join("x")}`);
    return new GpuOps(device, { product, attention: "matrix" });
  });
  const whole = matrixUnit(device, "f32") ? byMatrices : [];
  const variants = [...all, ...whole].map((ops): Variant => ({ ops, dtype: "f32" }));
  if (!device.features.includes("shader-f16")) return variants;
  const half = matrixUnit(device) || matrixUnit(device, "f32") ? byMatrices : [];
  const own: Variant = { ops: all[0], dtype: "f16" };
  // What the second tile would show, it shows in f32.
  const again = device.software ? forced.slice(0, -1) : forced;
  const others = [few, ...again, ...half].map((ops): Variant => {
    return { ops, dtype: "f16", ...(device.software && { every: SHARE }) };
  });
  return [...variants, own, ...others];
}

/**
 * The kernel of a name, wherever it serves. What becomes of sums is a piece that all of them share, so on software GPUs
 * one of its kinds is enough in those that compile for long.
 */
function force({ software }: Device, name: string): Choices["product"] {
  const every = !software || name === PLAIN;
  return ({ epilogue }, variants) => {
    const wanted = every || epilogue === "none" || epilogue === "residual";
    return variants.find((variant) => wanted && variant.name === name) ?? variants[0];
  };
}
