// The types of floats that files of weights have, and their numbers as bytes.

import { fromHalves, toHalves } from "../device/half.ts";

/** Bytes of a number. */
export const floatBytes = { F32: 4, F64: 8, F16: 2, BF16: 2 } as const;
export type Dtype = keyof typeof floatBytes;

/** The arrays of those that have some. */
export const arrays = { F32: Float32Array, F64: Float64Array } as const;
/** Those in which our own files are. */
export type OwnDtype = keyof typeof arrays;

/** The bytes of numbers, each rounded to the next of its type: a view of them where they are of it. */
export function fromFloats(values: ArrayLike<number>, dtype: Dtype): Uint8Array<ArrayBuffer> {
  // Every machine with WebGPU is little-endian, so an array's layout is the file's own.
  const { buffer, byteOffset, byteLength } = arrayOf(values, dtype);
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

function arrayOf(values: ArrayLike<number>, dtype: Dtype) {
  if (dtype === "F16") return toHalves(values);
  if (dtype === "BF16") return toBrains(values);
  const Floats = arrays[dtype];
  return values instanceof Floats ? values : Floats.from(values);
}

/**
 * Puts the numbers of some bytes, at any alignment, into an array as long as they are; of F64 rounded to float32.
 * @param data as many bytes as `into` has numbers of that type
 */
export function toFloat32(data: Uint8Array, dtype: Dtype, into: Float32Array): void {
  if (dtype === "F32") {
    new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(data);
    return;
  }
  for (let from = 0; from < into.length; from += PART) {
    const part = into.subarray(from, from + PART);
    const bytes = data.slice(from * floatBytes[dtype], (from + part.length) * floatBytes[dtype]);
    if (dtype === "F64") part.set(new Float64Array(bytes.buffer));
    else if (dtype === "F16") part.set(fromHalves(new Uint16Array(bytes.buffer)));
    else fromBrains(new Uint16Array(bytes.buffer), part);
  }
}

/** Numbers that are read at a time, so that little is there twice. */
const PART = 2 ** 16;

/** bf16 is the upper half of a float32. */
function fromBrains(halves: Uint16Array, into: Float32Array): void {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
}

/** The nearest bf16, of two alike the even one. */
function toBrains(values: ArrayLike<number>): Uint16Array {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return Uint16Array.from(bits, (x) => {
    const isNaN = (x & 0x7fffffff) > 0x7f800000;
    return isNaN ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  });
}

/** From this number on the nearest float32 is none. */
export const floatRange = 2 ** 128 - 2 ** 103;
