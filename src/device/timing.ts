// How long the device takes: by its own clock where it has one, by the wall clock elsewhere.

import type { Device } from "./device.ts";
import type { Schedule } from "./schedule.ts";

/** Time that one measurement by the wall clock fills at least, in ms: against it a submit is short. */
const FILL_MS = 20;
const MOST_QUERIES = 4096; // WebGPU's limit for a query set

/** A GPU that idled for longer than IDLE_MS runs slowly at first, and is given work for WARMUP_MS. */
const IDLE_MS = 50;
const WARMUP_MS = 400;

/** When a device was last at work that was timed. */
const busyAt = new WeakMap<Device, number>();

async function warmUp(device: Device, encode: (encoder: GPUCommandEncoder) => void) {
  if (device.software || performance.now() - (busyAt.get(device) ?? 0) < IDLE_MS) return;
  const start = performance.now();
  let waiting = Promise.resolve();
  while (performance.now() - start < WARMUP_MS) {
    const encoder = device.gpu.createCommandEncoder();
    encode(encoder);
    device.gpu.queue.submit([encoder.finish()]);
    await waiting; // of two submits one is always at work
    waiting = device.idle();
  }
  await waiting;
}

/** Whether the device's own clock can be read. */
export function hasTimestamps({ gpu }: Device): boolean {
  return gpu.features.has("timestamp-query");
}

/**
 * Times of schedules in ms, each in a pass of its own and each its shortest: what else a machine does
 * only ever adds to them. With timestamps all of them run one after
 * the other, `repetitions` times over: of a step's dispatches each then finds data and caches as the one
 * before it left them. Without, each runs many times by itself.
 * @throws GpuError if the device fails
 */
export async function timeSchedules(
  device: Device,
  schedules: readonly Schedule[],
  repetitions: number,
): Promise<number[]> {
  const times: number[] = [];
  if (!hasTimestamps(device)) {
    for (const schedule of schedules) times.push(await timeBusy(device, (e) => schedule.encode(e)));
    return times;
  }
  for (let first = 0; first < schedules.length; first += MOST_QUERIES / 2) {
    const part = schedules.slice(first, first + MOST_QUERIES / 2);
    times.push(...(await timeByTimestamps(device, part, repetitions)));
  }
  return times;
}

async function timeByTimestamps(
  device: Device,
  schedules: readonly Schedule[],
  repetitions: number,
): Promise<number[]> {
  const { gpu } = device;
  const count = schedules.length * 2;
  const querySet = gpu.createQuerySet({ type: "timestamp", count });
  const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
  const resolved = gpu.createBuffer({ label: "timestamps", size: count * 8, usage });
  const samples: number[][] = schedules.map(() => []);
  await warmUp(device, (encoder) => {
    for (const schedule of schedules) schedule.encode(encoder);
  });
  // The first repetition still finds caches cold.
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    const encoder = gpu.createCommandEncoder();
    schedules.forEach((schedule, i) =>
      schedule.encode(encoder, {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      }),
    );
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    gpu.queue.submit([encoder.finish()]);
    const stamps = new BigUint64Array(await device.read(resolved, 0, count * 8)); // nanoseconds
    if (repetition === 0) continue;
    // A pass is stamped as begun while the one before it may still run.
    samples.forEach((times, i) => {
      const [begin, end] = [stamps[2 * i], stamps[2 * i + 1]];
      const before = i > 0 && stamps[2 * i - 1] > begin ? stamps[2 * i - 1] : begin;
      times.push(Number(end - before) / 1e6);
    });
  }
  busyAt.set(device, performance.now());
  querySet.destroy();
  resolved.destroy();
  return samples.map((times) => Math.min(...times));
}

/**
 * Time of some commands in ms by the wall clock: recorded so often into one submit that the submit
 * itself hardly counts.
 * @throws GpuError if the device fails
 */
export async function timeBusy(
  device: Device,
  encode: (encoder: GPUCommandEncoder) => void,
): Promise<number> {
  const run = async (count: number) => {
    const encoder = device.gpu.createCommandEncoder();
    for (let i = 0; i < count; i++) encode(encoder);
    const commands = encoder.finish();
    const start = performance.now();
    device.gpu.queue.submit([commands]);
    await device.idle();
    return performance.now() - start;
  };
  await run(1); // may still compile
  await warmUp(device, encode);
  let count = 1;
  let ms = await run(count);
  while (ms < FILL_MS && count < 1024) {
    count = Math.min(1024, Math.ceil(count * Math.min(16, (1.5 * FILL_MS) / Math.max(ms, 0.01))));
    ms = await run(count);
  }
  const times = [ms];
  while (times.length < 3) times.push(await run(count));
  busyAt.set(device, performance.now());
  return Math.min(...times) / count;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
