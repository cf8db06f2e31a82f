// Runs a kernel once, on nothing but zeros: Mesa's GPU in software makes a pipeline at once, and compiles it at the first
// dispatch.

import type { Device } from "./device.ts";
import { ALIGNMENT } from "./tensors.ts";

/** Bytes for what a kernel reads: as many as WebGPU allows a uniform. */
const READ_BYTES = 2 ** 16;
/** Arrays that a kernel may write: WebGPU grants 8, some adapters more. */
const WRITTEN = 64;

export class Scratch {
  private readonly read: GPUBuffer;
  /** A piece for each array that is written: they must not overlap. */
  private readonly written: GPUBuffer;

  constructor(gpu: GPUDevice) {
    const { STORAGE, UNIFORM } = GPUBufferUsage;
    const size = WRITTEN * ALIGNMENT;
    this.read = gpu.createBuffer({ label: "zeros", size: READ_BYTES, usage: STORAGE | UNIFORM });
    this.written = gpu.createBuffer({ label: "zeros to write", size, usage: STORAGE });
  }

  /** @throws GpuError if the device fails */
  async run(device: Device, kernel: string, pipeline: GPUComputePipeline): Promise<void> {
    const { gpu, kernels } = device;
    let end = 0;
    const place = (writes: boolean) => {
      if (!writes) return { buffer: this.read };
      const offset = end;
      end += ALIGNMENT;
      return { buffer: this.written, offset, size: ALIGNMENT };
    };
    const entries = kernels
      .bindings(kernel)
      .map(({ index, writes }) => ({ binding: index, resource: place(writes) }));
    const bindGroup = gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(1);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    await device.idle();
  }
}
