// A tensor on the device, and what it is before it is allocated: a name, a shape and what its elements are.

/** Elements of four bytes (f32, i32 or u32), as they are where nothing is said, or of two. */
export type Half = "f16";

export interface TensorSpec {
  name: string;
  shape: readonly number[];
  dtype?: Half;
  /** Whether it is never bound whole, only in slices; then only the buffer limit holds for it. */
  sliced?: boolean;
}

/** A tensor, or a slice of one, that a kernel can bind. */
export interface Tensor {
  name: string;
  shape: readonly number[];
  dtype?: Half;
  buffer: GPUBuffer;
  /** In bytes. */
  offset: number;
  /** In bytes. */
  size: number;
}
