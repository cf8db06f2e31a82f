// What the operations of a training step cost on a device, beside what the device can do at best.

import type { Device } from "../device/device.ts";
import { type Dispatch, Schedule } from "../device/schedule.ts";
import { allocateTensors, destroyTensors, fillRandom, sizeOf } from "../device/tensors.ts";
import { timeBusy, timeSchedules } from "../device/timing.ts";
import { GpuOps } from "../model/gpu_ops.ts";
import type { Operands } from "../device/matrix_unit.ts";
import { groupBy } from "../group_by.ts";

/** The best that was measured on the device itself. */
export interface Ceilings {
  /** Of the engine's own products, at a large shape. */
  gflops: number;
  /** Bytes read and bytes written by a buffer copy. */
  gb_per_s: number;
}

/** An operation at one shape, as often as the step has it. */
export interface OperationCost {
  op: string;
  kernel: string;
  /** What tells it from the same operation at another shape: `512 x 65 x 64`. */
  shape: string;
  calls: number;
  /** Of one call. */
  ms: number;
  /** Of all calls together in the time of all operations. */
  share: number;
  /** For operations that compute more than they move; else null. */
  gflops: number | null;
  /** For those that move; else null. */
  gb_per_s: number | null;
  /** Of the ceiling that holds for it. */
  of_ceiling: number;
}

/** Times every operation of a step, whose tensors should hold what a step leaves there. */
export async function measureOperations(
  device: Device,
  dispatches: readonly Dispatch[],
  ceilings: Ceilings,
  repetitions: number,
): Promise<OperationCost[]> {
  const schedules = await Promise.all(dispatches.map((d) => Schedule.create(device, [d])));
  const times = await timeSchedules(device, schedules, repetitions);
  for (const schedule of schedules) schedule.destroy();
  const total = times.reduce((sum, ms) => sum + ms, 0);

  const groups = groupBy(dispatches.keys(), (i) => {
    const { op, kernel, grid } = dispatches[i];
    return JSON.stringify([op, kernel, shapeOf(dispatches[i]), grid]);
  });
  return [...groups.values()].map((members) => {
    const dispatch = dispatches[members[0]];
    const sum = members.reduce((ms, i) => ms + times[i], 0);
    const ms = sum / members.length;
    const flops = dispatch.work?.flops ?? null;
    const gflops = flops === null ? null : flops / ms / 1e6;
    const gb_per_s = flops === null ? bytesOf(dispatch) / ms / 1e6 : null;
    return {
      op: dispatch.op,
      kernel: dispatch.kernel,
      shape: shapeOf(dispatch),
      calls: members.length,
      ms,
      share: sum / total,
      gflops,
      gb_per_s,
      of_ceiling: gflops === null ? gb_per_s! / ceilings.gb_per_s : gflops / ceilings.gflops,
    };
  });
}

function shapeOf({ op, sizes, bindings }: Dispatch): string {
  const { M, N, K } = sizes;
  if (K !== undefined) return `${M} x ${N} x ${K}`;
  if (op.startsWith("attention")) return `T ${sizes.T}, C ${sizes.C}, NH ${sizes.NH}`;
  const largest = Math.max(...Object.values(bindings).map(sizeOf));
  return `${largest}`;
}

/** Tensors that an operation both reads and writes. */
const inPlace: Record<string, string[]> = {
  rmsnorm_backward: ["dinp"],
  rmsnorm_gain_backward: ["dinp"],
  dropout_residual: ["out"],
  heads_backward: ["dqkv"],
  cross_entropy: ["logits"],
  accumulate: ["sums"],
  adamw: ["params", "m", "v"],
  sgd: ["params", "m"],
  muon_momentum: ["m"],
  muon_normalize: ["x"],
  muon_polynomial: ["a"],
  muon_update: ["params"],
};

/** Bytes that must be read and written at least: a tensor that is bound twice, as two types, counts once. */
function bytesOf({ op, bindings }: Dispatch): number {
  const tensors = new Map(
    Object.entries(bindings).map(([name, { buffer, offset, size }]) => [
      `${buffer.label} ${offset}`,
      inPlace[op]?.includes(name) ? 2 * size : size,
    ]),
  );
  return [...tensors.values()].reduce((sum, bytes) => sum + bytes, 0);
}

// Both ceilings are measured on random numbers: zeros are faster on many GPUs.

const LARGEST_PRODUCT = 4096;
/** A product that takes this long is large enough, in ms. */
const LONG_MS = 5;

/** GFLOP/s of a large square product, forward or backward. */
export async function bestProduct(device: Device, operands: Operands): Promise<number> {
  let best = 0;
  for (let n = 256, ms = 0; n <= LARGEST_PRODUCT && ms < LONG_MS; n *= 2) {
    const shape = [n, n];
    const half = operands === "f16" ? { dtype: operands } : {};
    const t = await allocateTensors(device, [
      { name: "out", shape, ...half },
      { name: "out2", shape },
      { name: "a", shape, ...half },
      { name: "b", shape, ...half },
      { name: "c", shape, ...half },
    ]);
    for (const tensor of [t.a, t.b, t.c]) fillRandom(device, tensor);
    const ops = new GpuOps(device);
    const sizes = { N: n, C: n, OC: n };
    const products = [
      ops.matmulForward(t.out, t.a, t.b, sizes),
      ops.matmulBackward(t.out, t.out2, t.a, t.b, t.c, { ...sizes, plane: 0 }),
    ];
    const schedules = await Promise.all(products.map((d) => Schedule.create(device, [d])));
    const times = await timeSchedules(device, schedules, 5);
    products.forEach((d, i) => (best = Math.max(best, d.work!.flops / times[i] / 1e6)));
    ms = Math.min(...times);
    for (const schedule of schedules) schedule.destroy();
    destroyTensors(t);
  }
  return best;
}

/** GB/s of a copy from buffer to buffer, reads and writes together. */
export async function copyBandwidth(device: Device): Promise<number> {
  // Far more than a cache holds; that of a GPU in software is the CPU's.
  const bytes = Math.min(device.software ? 2 ** 26 : 2 ** 28, device.gpu.limits.maxBufferSize);
  const shape = [bytes / 4];
  const t = await allocateTensors(device, [
    { name: "from", shape, sliced: true },
    { name: "to", shape, sliced: true },
  ]);
  fillRandom(device, t.from);
  const ms = await timeBusy(device, (encoder) =>
    encoder.copyBufferToBuffer(t.from.buffer, 0, t.to.buffer, 0, bytes),
  );
  destroyTensors(t);
  return (2 * bytes) / ms / 1e6;
}
