// A fixed list of dispatches: pipelines and bind groups are made once, then the list is replayed.

import type { Device } from "./device.ts";
import type { Constants } from "./kernels.ts";
import type { Tensor } from "./tensors.ts";

/** One kernel call, as data. */
export interface Dispatch {
  /** The operation, as the reference and the tests name it. */
  op: string;
  /** File and entry point. */
  kernel: string;
  constants: Constants;
  /** By the names in the WGSL. */
  bindings: Record<string, Tensor>;
  /** Workgroups in x, y, z. */
  grid: [number, number, number];
}

interface Command {
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  grid: [number, number, number];
}

export class Schedule {
  readonly dispatches: readonly Dispatch[];
  private readonly commands: Command[];

  private constructor(dispatches: readonly Dispatch[], commands: Command[]) {
    this.dispatches = dispatches;
    this.commands = commands;
  }

  /** Compiles every pipeline, all at once, and makes every bind group. */
  static async create(device: Device, dispatches: readonly Dispatch[]): Promise<Schedule> {
    const pipelines = await Promise.all(
      dispatches.map(({ kernel, constants }) => device.kernels.pipeline(kernel, constants)),
    );
    const commands = dispatches.map((dispatch, i) => ({
      pipeline: pipelines[i],
      bindGroup: bind(device, dispatch, pipelines[i]),
      grid: dispatch.grid,
    }));
    return new Schedule(dispatches, commands);
  }

  /** Records the whole list into one compute pass. */
  encode(encoder: GPUCommandEncoder): void {
    const pass = encoder.beginComputePass();
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, bindGroup, grid } of this.commands) {
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
  }
}

function bind(device: Device, dispatch: Dispatch, pipeline: GPUComputePipeline): GPUBindGroup {
  const { op, kernel, bindings } = dispatch;
  const declared = device.kernels.bindings(kernel);
  const extra = Object.keys(bindings).find((name) => !declared.some((b) => b.name === name));
  if (extra) throw new RangeError(`${op}: ${kernel}.wgsl declares no binding ${extra}`);
  const entries = declared.map(({ name, index }) => {
    const tensor = bindings[name];
    if (!tensor) throw new RangeError(`${op}: the binding ${name} of ${kernel}.wgsl has no tensor`);
    const { buffer, offset, size } = tensor;
    return { binding: index, resource: { buffer, offset, size } };
  });
  return device.gpu.createBindGroup({
    label: op,
    layout: pipeline.getBindGroupLayout(0),
    entries,
  });
}
