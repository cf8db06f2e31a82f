// Reads small results back without stopping the GPU: a ring of staging buffers, a bounded number in flight.

import type { Device } from "./device.ts";

export class ReadbackRing {
  /** Copies that may be in flight at once. */
  readonly depth: number;
  private readonly device: Device;
  private readonly free: GPUBuffer[];
  private readonly buffers: readonly GPUBuffer[];

  /** @param size bytes of the largest copy */
  constructor(device: Device, size: number, depth: number) {
    this.device = device;
    this.depth = depth;
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
    this.buffers = Array.from({ length: depth }, () =>
      device.gpu.createBuffer({ label: "readback", size, usage }),
    );
    this.free = [...this.buffers];
  }

  /**
   * Records a copy of `size` bytes of `source` at `offset`. Call the function it returns after the
   * submit: it resolves to the bytes, and rejects with GpuError if the device fails before.
   */
  copy(
    encoder: GPUCommandEncoder,
    source: GPUBuffer,
    offset: number,
    size: number,
  ): () => Promise<ArrayBuffer> {
    const staging = this.free.pop();
    if (!staging) throw new RangeError(`more than ${this.depth} copies are in flight`);
    encoder.copyBufferToBuffer(source, offset, staging, 0, size);
    return async () => {
      const bytes = await this.device.map(staging, 0, size);
      this.free.push(staging);
      return bytes;
    };
  }

  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
  }
}
