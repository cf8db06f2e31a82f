// GGUF files, written a piece at a time.

import { sizeOf } from "../../device/tensors.ts";
import { floatBytes, fromFloats } from "../../files/floats.ts";
import {
  aligned,
  ALIGNMENT,
  MAGIC,
  tensorTypes,
  type ValueType,
  valueTypes,
  VERSION,
} from "./format.ts";

/** A key with its value, as it is to be written. */
export type Entry =
  | [key: string, type: "u32" | "f32", value: number]
  | [key: string, type: "bool", value: boolean]
  | [key: string, type: "string", value: string]
  | [key: string, type: "strings", value: readonly string[]]
  | [key: string, type: "i32s", value: Int32Array];

export interface WrittenTensor {
  name: string;
  /** Outermost first. */
  shape: readonly number[];
  dtype: "F32" | "F16";
  /** Asked for when it is its turn, and rounded to `dtype`. */
  values: () => ArrayLike<number>;
}

/** A file of these keys and tensors, in this order; the same input gives the same bytes. */
export function ggufPieces(
  entries: readonly Entry[],
  tensors: readonly WrittenTensor[],
): Iterable<Uint8Array<ArrayBuffer>> {
  const head = header(entries, tensors);
  return {
    *[Symbol.iterator]() {
      yield head;
      for (const { dtype, values } of tensors) {
        const bytes = fromFloats(values(), dtype);
        yield bytes;
        const rest = aligned(bytes.length, ALIGNMENT) - bytes.length;
        if (rest > 0) yield new Uint8Array(rest);
      }
    },
  };
}

function header(entries: readonly Entry[], tensors: readonly WrittenTensor[]) {
  const out = new Bytes();
  out.bytes(new TextEncoder().encode(MAGIC));
  out.u32(VERSION);
  out.u64(tensors.length);
  out.u64(entries.length);
  for (const entry of entries) {
    out.text(entry[0]);
    writeValue(out, entry);
  }
  let offset = 0;
  for (const { name, shape, dtype } of tensors) {
    out.text(name);
    out.u32(shape.length);
    for (const length of shape.toReversed()) out.u64(length);
    out.u32(typeNumber(dtype));
    out.u64(offset);
    offset = aligned(offset + sizeOf({ shape }) * floatBytes[dtype], ALIGNMENT);
  }
  return out.filled(ALIGNMENT);
}

function typeNumber(type: string): number {
  return [...tensorTypes].find(([, name]) => name === type)![0];
}

function writeValue(out: Bytes, [, type, value]: Entry): void {
  const number = (type: ValueType) => out.u32(valueTypes.indexOf(type));
  switch (type) {
    case "u32":
      number(type);
      return out.u32(value);
    case "f32":
      number(type);
      return out.bytes(new Uint8Array(Float32Array.of(value).buffer));
    case "bool":
      number(type);
      return out.bytes(Uint8Array.of(value ? 1 : 0));
    case "string":
      number(type);
      return out.text(value);
    case "strings":
      number("array");
      number("string");
      out.u64(value.length);
      return value.forEach((text) => out.text(text));
    case "i32s":
      number("array");
      number("i32");
      out.u64(value.length);
      return out.bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }
}

/** Bytes that get more. */
class Bytes {
  private all = new Uint8Array(2 ** 12);
  private length = 0;
  private readonly utf8 = new TextEncoder();

  u32(value: number): void {
    this.bytes(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number): void {
    this.bytes(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(text: string): void {
    const bytes = this.utf8.encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    const end = this.length + bytes.length;
    if (end > this.all.length) {
      const more = new Uint8Array(2 * end);
      more.set(this.all.subarray(0, this.length));
      this.all = more;
    }
    this.all.set(bytes, this.length);
    this.length = end;
  }

  /** All of them, and zeros up to a multiple of `alignment`. */
  filled(alignment: number): Uint8Array<ArrayBuffer> {
    const filled = new Uint8Array(aligned(this.length, alignment));
    filled.set(this.all.subarray(0, this.length));
    return filled;
  }
}
