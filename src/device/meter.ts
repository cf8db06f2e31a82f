// Counts what passes through a device: bytes of the buffers that live at once, submits.

import type { Device } from "./device.ts";

/** Counts from its making until stop(), on buffers made in between. */
export class Meter {
  /** Of buffers that were made and not yet destroyed. */
  bytes = 0;
  /** The most there were at any time. */
  peak_bytes = 0;
  submits = 0;
  private readonly gpu: GPUDevice;

  constructor({ gpu }: Pick<Device, "gpu">) {
    this.gpu = gpu;
    const { createBuffer } = gpu;
    const { submit } = gpu.queue;
    gpu.createBuffer = (descriptor) => this.count(createBuffer.call(gpu, descriptor));
    gpu.queue.submit = (commands) => {
      this.submits++;
      return submit.call(gpu.queue, commands);
    };
  }

  private count(buffer: GPUBuffer): GPUBuffer {
    const { destroy } = buffer;
    const { size } = buffer;
    this.bytes += size;
    this.peak_bytes = Math.max(this.peak_bytes, this.bytes);
    let alive = true;
    buffer.destroy = () => {
      if (alive) this.bytes -= size;
      alive = false;
      return destroy.call(buffer);
    };
    return buffer;
  }

  /** Leaves the device as it was; the methods of its prototype show again. */
  stop(): void {
    Reflect.deleteProperty(this.gpu, "createBuffer");
    Reflect.deleteProperty(this.gpu.queue, "submit");
  }
}
