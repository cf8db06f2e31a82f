// Whether the driver survives the kernels for matrix units. Some die over one while they compile it, and a process
// dies with its driver, without a word. So on hardware these pipelines are first made in a process of their own; what
// came of it is remembered.

import { platform } from "#platform";
import type { Child } from "../platform/platform.ts";
import {
  adapterKey,
  digest,
  isRecord,
  recallAdapters,
  rememberAdapters,
} from "./adapter_memory.ts";
import type { Device } from "./device.ts";
import { matrixUnit } from "./matrix_unit.ts";
import { type Dispatch, type PipelineSpec, pipelineSpec } from "./schedule.ts";

/** In the platform's memory, of each adapter with its driver: the pipelines that were made, or what it died of. */
const FILE = "pipelines.json";
/** The process has so long for its next pipeline, in ms; the slowest known takes a few seconds. */
const QUIET_MS = 60_000;

type Outcome = { made: string[] } | { death: string };

/**
 * Makes the pipelines for matrix units among those of `dispatches()` in a process of its own, those that no earlier one
 * has made. Where it dies or hangs, the device is used without its matrix units from then on: `device.matrixFault`
 * tells why. On a GPU in software, and where there are no processes, nothing is done.
 * @param child runs it; a test gives it others
 */
export async function tryMatrices(
  device: Device,
  dispatches: () => readonly Dispatch[],
  {
    signal,
    child = platform.child,
    quiet_ms = QUIET_MS,
  }: { signal?: AbortSignal; child?: Child; quiet_ms?: number } = {},
): Promise<void> {
  if (device.software || child === undefined) return;
  if (!matrixUnit(device, "f16") && !matrixUnit(device, "f32")) return;
  const wanted = new Map(
    dispatches()
      .filter(({ kernel }) => kernel.endsWith("_matrix"))
      .map((dispatch) => [JSON.stringify(pipelineSpec(dispatch)), pipelineSpec(dispatch)]),
  );
  if (wanted.size === 0) return;
  const kernels = device.kernels.names.filter((name) => name.endsWith("_matrix"));
  const key = `${await adapterKey(device, kernels)}; ${platform.versions().webgpu}`;
  const known = await recallAdapters(FILE, outcomeOf);
  const before = known.get(key) ?? { made: [] };
  if ("death" in before) return refuse(device, before.death);
  const names = new Map<string, PipelineSpec>();
  for (const [text, spec] of wanted) names.set(await digest(text), spec);
  const open = [...names].filter(([name]) => !before.made.includes(name));
  if (open.length === 0) return;

  const input = JSON.stringify(open);
  const { lines, death } = await child(script(), input, quiet_ms, signal);
  const made = open.map(([name]) => name).filter((name) => lines.includes(name));
  // One that failed is no reason: the driver says no, and its reasons are told where the pipeline is needed. A process
  // that was stopped, or could not open the device beside this one, has shown nothing either.
  const died = death !== null && made.length < open.length;
  const outcome: Outcome = died ? { death } : { made: [...before.made, ...made] };
  if (died || made.length > 0) {
    await rememberAdapters(FILE, (await recallAdapters(FILE, outcomeOf)).set(key, outcome));
  }
  if (died) refuse(device, death);
}

function refuse(device: Device, death: string): void {
  device.matrixFault =
    `the driver of ${device.name} does not survive its matrix units' kernels (tried in a process of its own: ` +
    `${death}), so they are left alone, and training is slower; a newer driver is tried anew, as after ` +
    `deleting ${platform.memoryPlace(FILE)}`;
}

/** TypeScript in a checkout, JavaScript in the package. */
function script(): URL {
  return new URL(import.meta.url.replace(/trial\.(\w+)(\?.*)?$/, "trial_child.$1"));
}

function outcomeOf(value: unknown): Outcome | undefined {
  if (!isRecord(value)) return undefined;
  const { made, death } = value;
  if (typeof death === "string") return { death };
  const names = Array.isArray(made) && made.every((name) => typeof name === "string");
  return names ? { made } : undefined;
}
