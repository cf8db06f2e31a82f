// The matrix units (tensor cores) of a device: which of their configurations the kernels use, and by how many lanes.

import type { Device } from "./device.ts";

/** What matrix units multiply; sums are f32. */
export type Operands = "f32" | "f16";

/** Products that matrix units make: (M, K) times (K, N). */
export interface MatrixUnit {
  M: number;
  N: number;
  K: number;
  operands: Operands;
  /** The subgroup that makes one together. */
  lanes: number;
  /** Whether its kernels have to ask for subgroups of that size, as the device's differ. */
  asked: boolean;
}

/** WebGPU's types do not know it yet. */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

const needed = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];
/** What is asked for where sizes differ: both kinds of AMD's and of Intel's have it. */
const ASKED = 32;

/** The largest unit for such operands; undefined where there is none, or where it is left alone. */
export function matrixUnit(
  device: Pick<Device, "features" | "info" | "matrixFault">,
  operands: Operands = "f16",
): MatrixUnit | undefined {
  const lanes = lanesOf(device);
  if (lanes === undefined || device.matrixFault !== undefined) return undefined;
  if (!needed.every((name) => device.features.includes(name))) return undefined;
  const { subgroupMatrixConfigs = [] } = device.info as {
    subgroupMatrixConfigs?: Iterable<MatrixConfig>;
  };
  const [unit] = [...subgroupMatrixConfigs]
    .filter(
      ({ componentType, resultComponentType }) =>
        componentType === operands && resultComponentType === "f32",
    )
    .toSorted((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return unit && { M: unit.M, N: unit.N, K: unit.K, operands, ...lanes };
}

function lanesOf({ features, info }: Pick<Device, "features" | "info">) {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  if (least === most) return { lanes: most, asked: false };
  const can = features.includes("subgroup-size-control") && least <= ASKED && ASKED <= most;
  return can ? { lanes: ASKED, asked: true } : undefined;
}

/** What a kernel is given of a unit; `subgroup_size` asks for it, see kernels.ts. */
export function unitConstants({ M, N, K, lanes, asked }: MatrixUnit) {
  return {
    UNIT_M: M,
    UNIT_N: N,
    UNIT_K: K,
    LANES: lanes,
    ...(asked ? { subgroup_size: lanes } : {}),
  };
}
