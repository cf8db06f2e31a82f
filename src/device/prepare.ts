// What is done before a run's first step: everything is compiled that it will need, and told while it is done.

import { platform } from "#platform";
import type { Device } from "./device.ts";
import { type Dispatch, pipelineOf } from "./schedule.ts";

/** Told at the beginning (`done` is 0), whenever one more is done, and at the end (`done` is `total`). */
export interface Told<What extends string> {
  type: "prepare";
  what: What;
  done: number;
  total: number;
}

/** compile: pipelines. measure: shapes of products, whose kernels are timed. */
export type DeviceWork = "compile" | "measure";

export interface Preparation {
  /** Whether the run will validate, and whether it will write texts: then their kernels are compiled with its own. */
  validates?: boolean;
  writes?: boolean;
  progress?: (event: Told<DeviceWork>) => void;
  /** Once aborted, no further pipeline is waited for. */
  signal?: AbortSignal;
}

/** Tells how many of how many are done. */
export function teller<What extends string>(
  what: What,
  progress: (event: Told<What>) => void = () => {},
) {
  return (done: number, total: number) => progress({ type: "prepare", what, done, total });
}

/**
 * Compiles the pipelines of dispatches, all of them started before the first is awaited. Those that are ready
 * already are not counted.
 * @param later what comes after the first steps: hardware's drivers compile that in threads of their own meanwhile, a
 * GPU in software would only when it runs, so it is compiled with the rest
 * @throws GpuError if the device fails
 */
export async function compile(
  device: Device,
  dispatches: readonly Dispatch[],
  { progress, signal }: Preparation = {},
  later: readonly Dispatch[] = [],
): Promise<void> {
  const { ready } = device.kernels;
  const start = (list: readonly Dispatch[]) =>
    list.map((dispatch) => [pipelineOf(device, dispatch), dispatch.kernel] as const);
  const [now, then] = [start(dispatches), start(later)];
  for (const [pipeline] of [...now, ...then]) pipeline.catch(() => {}); // told where it is awaited
  const awaited = new Map(device.software ? [...now, ...then] : now);
  const open = [...awaited].filter(([pipeline]) => !ready.has(pipeline));
  const total = open.length;
  const tell = teller("compile", progress);
  for (const [done, [pipeline, kernel]] of open.entries()) {
    if (signal?.aborted) return;
    tell(done, total);
    const compiled = await platform.wait(pipeline);
    await device.scratch?.run(device, kernel, compiled);
    ready.add(pipeline);
  }
  if (total > 0) tell(total, total);
}
