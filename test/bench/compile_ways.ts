// Ways of compiling the large kernels, side by side on one device: with and without Dawn's guards, with loops left to
// the driver or unrolled in the text. Each is right everywhere; which is fastest, only the hardware tells.

import { platform } from "#platform";
import { create, globals } from "webgpu";
import { type Device, openDevice } from "../../src/device/device.ts";
import { matrixUnit } from "../../src/device/matrix_unit.ts";
import { Kernels } from "../../src/device/kernels.ts";
import { type Dispatch, Schedule } from "../../src/device/schedule.ts";
import { allocateTensors, destroyTensors, fillRandom } from "../../src/device/tensors.ts";
import { timeSchedules } from "../../src/device/timing.ts";
import { dawnToggles } from "../../src/platform/platform.node.ts";
import { GpuOps } from "../../src/model/gpu_ops.ts";
import { MATRIX_TILES } from "../../src/model/product.ts";

const REPETITIONS = 5;
const PLANES = 8;

type Report = (what: string, measured: string) => void;

interface Way {
  name: string;
  checked: boolean;
  unrolls: boolean;
}

/** Reports milliseconds and TFLOP/s of each operation in each way. */
export async function compare(report: Report): Promise<void> {
  const ways: Way[] = [
    { name: "as they are", checked: false, unrolls: true },
    { name: "loops left to the driver", checked: false, unrolls: false },
    { name: "with Dawn's guards", checked: true, unrolls: true },
  ];
  Object.assign(globalThis, globals);
  const instances: GPU[] = []; // kept: Dawn is torn down with the object
  for (const { name, checked, unrolls } of ways) {
    const gpu = create(dawnToggles(checked));
    instances.push(gpu);
    const device = await openDevice({ gpu: async () => gpu, shaders: platform.shaders });
    const kernels = new Kernels(device.gpu, platform.shaders(), unrolls);
    Object.assign(device, { kernels });
    const start = performance.now();
    await timeAll(device, (what, measured) => report(`${what}, ${name}`, measured));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    report(`all of these, compilation included, ${name}`, `${seconds} s`);
    device.destroy();
  }
}

async function timeAll(device: Device, report: Report): Promise<void> {
  const small = device.software;
  const products = small
    ? [[256, 128, 64]]
    : [
        [16384, 1536, 384],
        [4096, 4096, 4096],
      ];
  for (const [N, OC, C] of products) {
    for (const dtype of ["f32", "f16"] as const) {
      if (dtype === "f16" && !matrixUnit(device)) continue;
      const t = await tensors(device, dtype, N * Math.max(C, OC), ["out", "a", "b", "c"]);
      const { out2 } = await tensors(device, "f32", PLANES * C * OC, ["out2"]);
      const names =
        dtype === "f32"
          ? ["matmul_wide 128x128"]
          : MATRIX_TILES.map(({ tile }) => `matmul_matrix ${tile.join("x")}`);
      const dispatches: [string, Dispatch, number][] = names.flatMap((name) => {
        const ops = new GpuOps(device, {
          planes: PLANES,
          product: (_, all) => all.find((v) => v.name.startsWith(name)) ?? all[0],
        });
        const sizes = { N, C, OC };
        const flops = 2 * N * C * OC;
        return [
          [`${name} ${dtype} ${N}x${OC}x${C}`, ops.matmulForward(t.out, t.a, t.b, sizes), flops],
          [
            `${name} ${dtype} ${N}x${OC}x${C}, pair`,
            ops.matmulBackward(t.out, out2, t.a, t.b, t.c, { ...sizes, plane: C * OC }),
            2 * flops,
          ],
        ] as [string, Dispatch, number][];
      });
      await timeEach(device, dispatches, report);
      destroyTensors({ ...t, out2 });
    }
  }
  const heads = small
    ? [[1, 64, 64, 2]]
    : [
        [64, 256, 384, 6],
        [8, 1024, 768, 12],
      ];
  for (const [B, T, C, NH] of heads) {
    for (const [dtype, family] of [
      ["f32", "tiles"],
      ["f16", "matrix"],
    ] as const) {
      if (family === "matrix" && !matrixUnit(device)) continue;
      const t = await tensors(device, dtype, B * T * 3 * C, ["dqkv", "qkv", "out", "dout"]);
      const s = await tensors(device, "f32", B * NH * T * 2, ["stats", "delta"]);
      const ops = new GpuOps(device, { attention: family });
      const sizes = { B, T, C, NH };
      const flops = B * T * (T + 1) * C;
      const name = `attention ${family} B ${B}, T ${T}, C ${C}, NH ${NH}`;
      await timeEach(
        device,
        [
          [`${name}, forward`, ops.attentionForward(t.out, s.stats, t.qkv, sizes), 2 * flops],
          [
            `${name}, backward q`,
            ops.attentionBackwardQ(t.dqkv, s.delta, t.dout, t.out, t.qkv, s.stats, sizes),
            3 * flops,
          ],
          [
            `${name}, backward kv`,
            ops.attentionBackwardKv(t.dqkv, s.delta, t.dout, t.qkv, s.stats, sizes),
            4 * flops,
          ],
        ],
        report,
      );
      destroyTensors({ ...t, ...s });
    }
  }
}

async function tensors(device: Device, dtype: "f32" | "f16", size: number, names: string[]) {
  const table = names.map((name) => ({
    name,
    shape: [size],
    sliced: true,
    ...(dtype === "f16" ? { dtype } : {}),
  }));
  const made = await allocateTensors(device, table);
  for (const tensor of Object.values(made)) fillRandom(device, tensor);
  return made;
}

async function timeEach(
  device: Device,
  dispatches: [string, Dispatch, number][],
  report: Report,
): Promise<void> {
  const outcomes = await Promise.allSettled(
    dispatches.map(([, dispatch]) => Schedule.create(device, Array(4).fill(dispatch))),
  );
  for (const [i, [name, , flops]] of dispatches.entries()) {
    const outcome = outcomes[i];
    if (outcome.status === "rejected") {
      report(name, `failed: ${String(outcome.reason).slice(0, 200)}`);
      continue;
    }
    const [ms] = await timeSchedules(device, [outcome.value], REPETITIONS);
    outcome.value.destroy();
    const each = ms / 4;
    report(name, `${each.toPrecision(3)} ms, ${(flops / each / 1e9).toPrecision(3)} TFLOP/s`);
  }
}
