// A fixed list of dispatches: pipelines and bind groups are made once, then the list is replayed.

import { platform } from "#platform";
import type { Device } from "./device.ts";
import type { Constants, Sizes } from "./kernels.ts";
import { ALIGNMENT, type Tensor } from "./tensors.ts";

/** One kernel call, as data. */
export interface Dispatch {
  /** The operation, as the reference and the tests name it. */
  op: string;
  /** File and entry point. */
  kernel: string;
  /** Tuning constants (overrides). */
  constants: Constants;
  /** The uniform `sizes`. */
  sizes: Sizes;
  /** By the names in the WGSL. */
  bindings: Record<string, Tensor>;
  /** Workgroups in x, y, z. */
  grid: [number, number, number];
  /** Absent where it moves more than it computes. */
  work?: Work;
}

/** What a dispatch computes. */
interface Work {
  /** Floating-point operations, 2 to a multiply-add. */
  flops: number;
  /** Dispatches that together make the same, as many as that or fewer. */
  parts: (count: number) => Dispatch[];
}

/** No dispatch takes longer, in ms: Windows resets a GPU that does not come up for two seconds. */
const LONGEST_MS = 200;

/** A dispatch, in parts where it would take too long. */
function inParts({ gflops }: Device, dispatch: Dispatch): Dispatch[] {
  const { work } = dispatch;
  const ms = work === undefined ? 0 : work.flops / gflops / 1e6;
  return ms > LONGEST_MS ? work!.parts(Math.ceil(ms / LONGEST_MS)) : [dispatch];
}

/** In parts, a dispatch of `total` workgroups whose kernel counts them from sizes.before on. */
export function splitGrid(
  device: Device,
  dispatch: Dispatch,
  total: number,
  count: number,
): Dispatch[] {
  const most = device.gpu.limits.maxComputeWorkgroupsPerDimension;
  const share = Math.ceil(total / count);
  const size = share > most ? Math.ceil(share / most) * most : share; // rows of a grid are whole
  return Array.from({ length: Math.ceil(total / size) }, (_, i) => {
    const before = i * size;
    const grid = foldGrid(Math.min(size, total - before), most);
    return { ...dispatch, sizes: { ...dispatch.sizes, before }, grid };
  });
}

/** A grid of at least `count` workgroups; kernels count x first, then y, and leave the rest out. */
export function gridOf({ gpu }: Device, count: number): Dispatch["grid"] {
  return foldGrid(count, gpu.limits.maxComputeWorkgroupsPerDimension);
}

/** The same, with at most so many workgroups along x. */
export function foldGrid(count: number, most: number): Dispatch["grid"] {
  return count <= most ? [count, 1, 1] : [most, Math.ceil(count / most), 1];
}

interface Command {
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  grid: [number, number, number];
  /** Of which dispatch it is, and whether it is all of it. */
  dispatch: number;
  whole: boolean;
}

export class Schedule {
  /** As they were asked for; those that would take too long are in several commands. */
  readonly dispatches: readonly Dispatch[];
  private readonly commands: Command[];
  private readonly sizes: GPUBuffer;

  private constructor(dispatches: readonly Dispatch[], commands: Command[], sizes: GPUBuffer) {
    this.dispatches = dispatches;
    this.commands = commands;
    this.sizes = sizes;
  }

  /** Compiles every pipeline, all at once, and makes every bind group. */
  static async create(device: Device, dispatches: readonly Dispatch[]): Promise<Schedule> {
    const places = dispatches.map((dispatch) => inParts(device, dispatch));
    const all = places.flat();
    const dispatchOf = places.flatMap((parts, i) => parts.map(() => i));
    const started = all.map((dispatch) => pipelineOf(device, dispatch));
    const pipelines = await platform.wait(Promise.all(started));
    const sizes = packSizes(device, all);
    const commands = all.map((dispatch, i) => {
      const { buffer, at, size } = { ...sizes, ...sizes.parts[i] };
      const bindings = { ...dispatch.bindings, sizes: { buffer, offset: at, size } };
      const bindGroup = bind(device, dispatch, bindings, pipelines[i]);
      const place = dispatchOf[i];
      const whole = places[place].length === 1;
      return { pipeline: pipelines[i], bindGroup, grid: dispatch.grid, dispatch: place, whole };
    });
    return new Schedule(dispatches, commands, sizes.buffer);
  }

  /**
   * Records the whole list into one compute pass.
   * @param grids of each dispatch a smaller one, which makes its first rows alone; where it is in parts, those are made whole
   */
  encode(
    encoder: GPUCommandEncoder,
    timestampWrites?: GPUComputePassTimestampWrites,
    grids?: readonly Dispatch["grid"][],
  ): void {
    const pass = encoder.beginComputePass({ timestampWrites });
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, bindGroup, dispatch, whole, ...command } of this.commands) {
      const grid = grids && whole ? grids[dispatch] : command.grid;
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
  }

  destroy(): void {
    this.sizes.destroy();
  }
}

/** What a pipeline is made of: the arguments of Kernels.pipeline(). */
export interface PipelineSpec {
  kernel: string;
  constants: Constants;
  halves: string[];
}

/** Of the pipeline for a dispatch's constants and for what its tensors hold. */
export function pipelineSpec({ kernel, constants, bindings }: Dispatch): PipelineSpec {
  const halves = Object.keys(bindings).filter((name) => bindings[name].dtype === "f16");
  return { kernel, constants, halves };
}

/** That pipeline; compiled once, from the first call on. */
export function pipelineOf({ kernels }: Device, dispatch: Dispatch): Promise<GPUComputePipeline> {
  const { kernel, constants, halves } = pipelineSpec(dispatch);
  return kernels.pipeline(kernel, constants, halves);
}

/** One buffer with the sizes of every dispatch, each at a place where a binding may start. */
function packSizes(device: Device, dispatches: readonly Dispatch[]) {
  const parts = dispatches.map(({ kernel, sizes }, i) => {
    const bytes = device.kernels.packSizes(kernel, sizes);
    return { at: i * ALIGNMENT, size: bytes.byteLength, bytes };
  });
  const buffer = device.gpu.createBuffer({
    label: "sizes",
    size: parts.length * ALIGNMENT,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  for (const { at, bytes } of parts) device.gpu.queue.writeBuffer(buffer, at, bytes);
  return { buffer, parts };
}

type Bindings = Record<string, Pick<Tensor, "buffer" | "offset" | "size">>;

function bind(
  { gpu, kernels }: Device,
  { op, kernel }: Dispatch,
  bindings: Bindings,
  pipeline: GPUComputePipeline,
): GPUBindGroup {
  const declared = kernels.bindings(kernel);
  const extra = Object.keys(bindings).find((name) => !declared.some((b) => b.name === name));
  if (extra) throw new RangeError(`${op}: ${kernel}.wgsl declares no binding ${extra}`);
  const entries = declared.map(({ name, index }) => {
    const tensor = bindings[name];
    if (!tensor) throw new RangeError(`${op}: the binding ${name} of ${kernel}.wgsl has no tensor`);
    const { buffer, offset, size } = tensor;
    return { binding: index, resource: { buffer, offset, size } };
  });
  return gpu.createBindGroup({ label: op, layout: pipeline.getBindGroupLayout(0), entries });
}
