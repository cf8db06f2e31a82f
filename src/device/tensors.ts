// Tensors on the device: declared as data (name, shape), checked against the limits, then allocated.

import { GpuError, TensorTooLargeError } from "../errors.ts";
import type { Device } from "./device.ts";
import { fromHalves, toHalves } from "./half.ts";
import type { Half, Tensor, TensorSpec } from "./tensor.ts";

export type { Half, Tensor, TensorSpec };

/** WebGPU wants a binding to start at a multiple of this many bytes. */
export const ALIGNMENT = 256;

/** Bytes of an element. */
export const widthOf = ({ dtype }: { dtype?: Half }) => (dtype === "f16" ? 2 : 4);

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
    const bytes = bytesOf(spec);
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

/** Bytes of a tensor, whole words; none is empty. */
export function bytesOf(spec: Pick<TensorSpec, "shape" | "dtype">): number {
  return Math.max(Math.ceil((sizeOf(spec) * widthOf(spec)) / 4), 1) * 4;
}

/** A table's buffers: of every group of names one, of every other tensor one. */
function buffersOf(table: readonly TensorSpec[], groups: readonly string[][]) {
  const grouped = new Set(groups.flat());
  const alone = table.filter(({ name }) => !grouped.has(name)).map(({ name }) => [name]);
  const bytes = new Map(table.map((spec) => [spec.name, bytesOf(spec)]));
  return [...alone, ...groups].map((names) => ({
    names,
    size: Math.max(...names.map((name) => bytes.get(name)!)),
  }));
}

/** Bytes that allocateTensors() takes for a table. */
export function tableBytes(table: readonly TensorSpec[], groups: readonly string[][] = []): number {
  return buffersOf(table, groups).reduce((sum, { size }) => sum + size, 0);
}

/** Tensors to make lists of dispatches with that are not run; their buffers have labels and nothing else. */
export function placeholders(table: readonly TensorSpec[]): Record<string, Tensor> {
  return Object.fromEntries(
    table.map((spec) => {
      const buffer = { label: spec.name } as GPUBuffer;
      return [spec.name, { ...spec, buffer, offset: 0, size: bytesOf(spec) }];
    }),
  );
}

/**
 * Allocates a table of tensors, each in a buffer of its own, which is zero: Dawn tracks dependencies by
 * buffer, so dispatches that share none run without a barrier.
 * @param groups names of tensors that are to be one buffer, see planSharing()
 * @throws TensorTooLargeError before anything is allocated, GpuError if the memory does not suffice
 */
export async function allocateTensors<Name extends string>(
  device: Device,
  table: readonly (TensorSpec & { name: Name })[],
  groups: readonly string[][] = [],
): Promise<Record<Name, Tensor>> {
  checkTensors(device, table);
  const { gpu } = device;
  gpu.pushErrorScope("out-of-memory");
  const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const usage = STORAGE | UNIFORM | COPY_SRC | COPY_DST;
  const buffers = new Map<string, GPUBuffer>();
  for (const { names, size } of buffersOf(table, groups)) {
    const buffer = gpu.createBuffer({ label: names.join(", "), size, usage });
    for (const name of names) buffers.set(name, buffer);
  }
  const tensors = table.map((spec): Tensor => {
    const { name, shape, dtype } = spec;
    return { name, shape, dtype, buffer: buffers.get(name)!, offset: 0, size: bytesOf(spec) };
  });
  const error = await gpu.popErrorScope();
  if (error) {
    for (const buffer of new Set(buffers.values())) buffer.destroy();
    throw new GpuError(
      `${device.name} has not enough free memory for ${mebibytes(tableBytes(table, groups))} of tensors. ` +
        `Choose a smaller batch, context or model, or close what else uses the GPU.`,
    );
  }
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor])) as Record<Name, Tensor>;
}

/** `size` elements of a tensor from element `offset` on, where a binding may start. */
export function sliceTensor(
  tensor: Tensor,
  slice: { name: string; shape: readonly number[]; offset: number; size: number },
): Tensor {
  const { buffer, dtype } = tensor;
  const { name, shape } = slice;
  const width = widthOf(tensor);
  const size = Math.ceil((slice.size * width) / 4) * 4;
  return { name, shape, dtype, buffer, offset: tensor.offset + slice.offset * width, size };
}

/** The numbers of a tensor, in float32 whatever it holds. */
export async function readTensor(device: Device, tensor: Tensor): Promise<Float32Array> {
  const bytes = await device.read(tensor.buffer, tensor.offset, tensor.size);
  return tensor.dtype === "f16"
    ? fromHalves(new Uint16Array(bytes, 0, sizeOf(tensor)))
    : new Float32Array(bytes);
}

/** Writes numbers from a tensor's first one on, rounded to what it holds. */
export function writeTensor(device: Device, tensor: Tensor, values: Float32Array): void {
  const bytes = tensor.dtype === "f16" ? wholeWords(toHalves(values)) : values;
  device.gpu.queue.writeBuffer(tensor.buffer, tensor.offset, bytes as Float32Array<ArrayBuffer>);
}

/** With one more where they are odd: writes are of four bytes. */
function wholeWords(halves: Uint16Array): Uint16Array {
  if (halves.length % 2 === 0) return halves;
  const words = new Uint16Array(halves.length + 1);
  words.set(halves);
  return words;
}

/** Numbers of -1 to 1: a block of them, over and over. */
export function fillRandom(device: Device, tensor: Tensor): void {
  const elements = tensor.size / widthOf(tensor);
  const block = Float32Array.from(
    { length: Math.min(2 ** 20, elements) },
    () => 2 * Math.random() - 1,
  );
  const bytes = bytesOf({ shape: [block.length], dtype: tensor.dtype });
  const { COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = device.gpu.createBuffer({
    label: "block",
    size: bytes,
    usage: COPY_SRC | COPY_DST,
  });
  writeTensor(device, { ...tensor, buffer, offset: 0 }, block);
  const encoder = device.gpu.createCommandEncoder();
  for (let at = 0; at < tensor.size; at += bytes) {
    const size = Math.min(bytes, tensor.size - at);
    encoder.copyBufferToBuffer(buffer, 0, tensor.buffer, tensor.offset + at, size);
  }
  device.gpu.queue.submit([encoder.finish()]);
  buffer.destroy();
}

export function destroyTensors(tensors: Record<string, Tensor>): void {
  for (const buffer of new Set(Object.values(tensors).map((tensor) => tensor.buffer)))
    buffer.destroy();
}
