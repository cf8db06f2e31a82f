// Compiles one kernel for matrix units, or all: a driver that crashes over it takes this process only.
//
//   node test/bench/matrix_pipelines.ts "matmul_forward 128x128"

import { type Device, openDevice } from "../../src/device/device.ts";
import { matrixUnit } from "../../src/device/matrix_unit.ts";
import { type Dispatch, pipelineOf } from "../../src/device/schedule.ts";
import { placeholders } from "../../src/device/tensors.ts";
import { GpuOps } from "../../src/model/gpu_ops.ts";
import { MATRIX_TILES } from "../../src/model/product.ts";

/** Dispatches of every kernel for matrix units that the device can have, by a name; their tensors are no more than placeholders. */
export function matrixDispatches(device: Device): Record<string, Dispatch> {
  if (!matrixUnit(device)) return {};
  const table = ["out", "out2", "a", "b", "c", "stats", "delta"].map((name) => {
    const single = name === "out2" || name === "stats" || name === "delta";
    return { name, shape: [4096, 4096], ...(single ? {} : { dtype: "f16" as const }) };
  });
  const t = placeholders(table);
  const sizes = { N: 4096, C: 1024, OC: 4096 };
  const found: Record<string, Dispatch> = {};
  for (const { tile } of MATRIX_TILES) {
    const name = tile.join("x");
    const ops = new GpuOps(device, {
      product: (_, all) => all.find((v) => v.name === `matmul_matrix ${name}`) ?? all[0],
    });
    found[`matmul_forward ${name}`] = ops.matmulForward(t.out, t.a, t.b, sizes);
    found[`matmul_backward ${name}`] = ops.matmulBackward(t.out, t.out2, t.a, t.b, t.c, {
      ...sizes,
      plane: 0,
    });
  }
  const ops = new GpuOps(device, { attention: "matrix" });
  for (const HS of [64, 128]) {
    const heads = { B: 1, T: 1024, C: 12 * HS, NH: 12 };
    const { out, stats, a, b, c, delta } = t;
    found[`attention_forward ${HS}`] = ops.attentionForward(out, stats, a, heads);
    found[`attention_backward_q ${HS}`] = ops.attentionBackwardQ(out, delta, a, b, c, stats, heads);
    found[`attention_backward_kv ${HS}`] = ops.attentionBackwardKv(out, delta, a, c, stats, heads);
  }
  return Object.fromEntries(
    Object.entries(found).filter(([, { kernel }]) => kernel.endsWith("_matrix")),
  );
}

if (import.meta.main) {
  const device = await openDevice();
  const [, , wanted] = process.argv;
  for (const [name, dispatch] of Object.entries(matrixDispatches(device))) {
    if (wanted !== undefined && name !== wanted) continue;
    const start = performance.now();
    await pipelineOf(device, dispatch);
    console.log(`${name}: ${dispatch.kernel}, ${Math.round(performance.now() - start)} ms`);
  }
  device.destroy();
}
