// A tensor on the device, and what it is before it is allocated: a name and a shape.

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
