// GGUF, llama.cpp's format of models: what its files are made of, by the numbers that stand for it there.
//
//   magic "GGUF", version, number of tensors, number of keys
//   keys      each a name, the type of its value, and the value
//   tensors   each a name, a shape, the type of its numbers, and where they begin, counted from the data's beginning
//   data      at a multiple of the alignment, and so is each tensor in it
//
// All numbers are little-endian: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

export const MAGIC = "GGUF";
export const VERSION = 3;
/** Of the data, and of each tensor in it, where the key ALIGNMENT_KEY says nothing else. */
export const ALIGNMENT = 32;
export const ALIGNMENT_KEY = "general.alignment";

/** The types of values; a type's number is its place. */
export const valueTypes = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const;
export type ValueType = (typeof valueTypes)[number];

/** A value; whole numbers of 64 bits are numbers where these are exact. An array of truth values is one of 0 and 1. */
export type Value = number | bigint | boolean | string | readonly string[] | NumberArray;
export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** The types of a tensor's numbers that are read. */
export const numberTypes = ["F32", "F16", "BF16"] as const;
export type NumberType = (typeof numberTypes)[number];

/** The types of a tensor's numbers by the numbers that stand for them; most are quantised, and refused by their names. */
export const tensorTypes: ReadonlyMap<number, string> = new Map([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [3, "Q4_1"],
  [6, "Q5_0"],
  [7, "Q5_1"],
  [8, "Q8_0"],
  [9, "Q8_1"],
  [10, "Q2_K"],
  [11, "Q3_K"],
  [12, "Q4_K"],
  [13, "Q5_K"],
  [14, "Q6_K"],
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [20, "IQ4_NL"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [23, "IQ4_XS"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [29, "IQ1_M"],
  [30, "BF16"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
  [39, "MXFP4"],
  [40, "NVFP4"],
]);

/** The next multiple of `alignment`. */
export function aligned(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
