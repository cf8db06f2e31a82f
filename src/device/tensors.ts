// Tensors on the device: declared as data (name, shape), checked against the limits, then allocated.

import { GpuError, TensorTooLargeError } from "../errors.ts";
import type { Device } from "./device.ts";

/** WebGPU wants a binding to start at a multiple of this many bytes, 64 elements. */
export const ALIGNMENT = 256;
const BYTES = 4; // f32, i32 and u32 alike

export interface TensorSpec {
  name: string;
  shape: number[];
  /** Whether it is never bound whole, only in slices; then only the buffer limit holds for it. */
  sliced?: boolean;
}

/** A tensor, or a slice of one, that a kernel can bind. */
export interface Tensor {
  name: string;
  shape: number[];
  buffer: GPUBuffer;
  /** In bytes. */
  offset: number;
  /** In bytes. */
  size: number;
}

export function sizeOf({ shape }: { shape: readonly number[] }): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Checks every tensor of a table against the device's limits.
 * @throws TensorTooLargeError naming the first that does not fit, with what it needs and what there is
 */
export function checkTensors(device: Device, table: readonly TensorSpec[]): void {
  const { maxBufferSize, maxStorageBufferBindingSize } = device.gpu.limits;
  for (const spec of table) {
    const bytes = sizeOf(spec) * BYTES;
    const [limit, value] = spec.sliced
      ? ["maxBufferSize", maxBufferSize]
      : ["maxStorageBufferBindingSize", Math.min(maxBufferSize, maxStorageBufferBindingSize)];
    if (bytes > value) {
      throw new TensorTooLargeError(
        `The tensor ${spec.name} (${spec.shape.join(", ")}) needs ${mebibytes(bytes)}, but ${device.name} ` +
          `allows ${mebibytes(value)} (${limit}). Choose a smaller batch, context, width or vocabulary.`,
      );
    }
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString("en-US")} MiB`;
}

/**
 * Allocates a table of tensors, each zero and in a buffer of its own: Dawn tracks dependencies by
 * buffer, so dispatches that share none run without a barrier.
 * @throws TensorTooLargeError before anything is allocated, GpuError if the memory does not suffice
 */
export async function allocateTensors<Name extends string>(
  device: Device,
  table: readonly (TensorSpec & { name: Name })[],
): Promise<Record<Name, Tensor>> {
  checkTensors(device, table);
  const { gpu } = device;
  gpu.pushErrorScope("out-of-memory");
  const tensors = table.map(({ name, shape }): Tensor => {
    const size = Math.max(sizeOf({ shape }) * BYTES, BYTES);
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const usage = STORAGE | UNIFORM | COPY_SRC | COPY_DST;
    return { name, shape, buffer: gpu.createBuffer({ label: name, size, usage }), offset: 0, size };
  });
  const error = await gpu.popErrorScope();
  if (error) {
    for (const tensor of tensors) tensor.buffer.destroy();
    const total = tensors.reduce((sum, tensor) => sum + tensor.size, 0);
    throw new GpuError(
      `${device.name} has not enough free memory for ${mebibytes(total)} of tensors. ` +
        `Choose a smaller batch, context or model, or close what else uses the GPU.`,
    );
  }
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor])) as Record<Name, Tensor>;
}

/** `size` elements of a tensor from element `offset` (a multiple of 64) on. */
export function sliceTensor(
  tensor: Tensor,
  slice: { name: string; shape: number[]; offset: number; size: number },
): Tensor {
  return {
    name: slice.name,
    shape: slice.shape,
    buffer: tensor.buffer,
    offset: tensor.offset + slice.offset * BYTES,
    size: slice.size * BYTES,
  };
}

export async function readTensor(device: Device, tensor: Tensor): Promise<Float32Array> {
  return new Float32Array(await device.read(tensor.buffer, tensor.offset, tensor.size));
}

export function writeTensor(device: Device, tensor: Tensor, values: Float32Array): void {
  device.gpu.queue.writeBuffer(tensor.buffer, tensor.offset, values as Float32Array<ArrayBuffer>);
}

export function destroyTensors(tensors: Record<string, Tensor>): void {
  for (const { buffer } of Object.values(tensors)) buffer.destroy();
}
