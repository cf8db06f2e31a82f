// Every kernel that a device can run gets its turn in the checks, whatever the device would choose.

import type { Device } from "../device/device.ts";
import { matrixUnit } from "../device/matrix_unit.ts";
import { attentionFamilies } from "../model/attention.ts";
import { type Choices, GpuOps } from "../model/gpu_ops.ts";
import { MATRIX_TILES, WIDE_TILES } from "../model/product.ts";
import type { Variant } from "./kernel_case.ts";

/** Of so many cases of an operation one is run. */
const SHARE = 5;

/** Choices that together take every kernel this device can run; the first is the one it is given. */
export function opsVariants(device: Device): Variant[] {
  // Software GPUs compile for long: of the tiles, one a thread loads a block for, and one with two.
  const tiles = device.software ? [WIDE_TILES[0], WIDE_TILES[2]] : WIDE_TILES;
  const products = ["matmul 64x64", ...tiles.map((tile) => `matmul_wide ${tile.join("x")}`)];
  const families = attentionFamilies(device).filter(
    (family) => family === "tiles" || family === "rows",
  );
  const force = (name: string): Choices["product"] => {
    return (_, variants) => variants.find((variant) => variant.name === name) ?? variants[0];
  };
  const forced = products.map((name, i) => {
    return new GpuOps(device, { product: force(name), attention: families[i % families.length] });
  });
  const all = [new GpuOps(device), ...forced];
  const byMatrices = MATRIX_TILES.map(({ tile }) => {
    return new GpuOps(device, {
      product: force(`matmul_matrix ${tile.join("x")}`),
      attention: "matrix",
    });
  });
  const whole = matrixUnit(device, "f32") ? byMatrices : [];
  const variants = [...all, ...whole].map((ops): Variant => ({ ops, dtype: "f32" }));
  if (!device.features.includes("shader-f16")) return variants;
  const half = matrixUnit(device) || matrixUnit(device, "f32") ? byMatrices : [];
  // What a software GPU would never take itself compiles there for minutes in f16: one case in SHARE has to do, and
  // what the second tile would show, it shows in f32.
  const own: Variant = { ops: all[0], dtype: "f16" };
  const again = device.software ? forced.slice(0, -1) : forced;
  const others = [...again, ...half].map((ops): Variant => {
    return { ops, dtype: "f16", ...(device.software && { every: SHARE }) };
  });
  return [...variants, own, ...others];
}
