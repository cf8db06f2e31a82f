// A strict reader of GGUF files: nothing is believed that was not checked, and no more is kept than the file is long.

import type { ByteSource } from "../../files/byte_source.ts";
import { floatBytes } from "../../files/floats.ts";
import type { TensorPlace } from "../../files/safetensors.ts";
import { show } from "../../strict_json.ts";
import { Cursor, named, told } from "./cursor.ts";
import {
  aligned,
  ALIGNMENT,
  ALIGNMENT_KEY,
  MAGIC,
  type NumberArray,
  type NumberType,
  numberTypes,
  tensorTypes,
  type Value,
  valueTypes,
  VERSION,
} from "./format.ts";

/** Models have some 50 keys and 10 tensors a layer. */
const MOST = 2 ** 16;
/** A key has the length of its name, a character, the type and a byte at least; a tensor a dimension and two numbers. */
const LEAST_KEY = 14;
const LEAST_TENSOR = 33;
const MOST_DIMENSIONS = 4;

/** A tensor of a file; its shape is outermost first, as ours. */
export type GgufTensor = TensorPlace<NumberType>;

export interface Gguf {
  metadata: ReadonlyMap<string, Value>;
  /** In the order of their data. */
  tensors: GgufTensor[];
}

/**
 * What a file says of itself, and where its tensors are.
 * @throws ModelFileError if anything about it is not as the format has it, or its numbers are quantised
 */
export function readGguf(source: ByteSource): Gguf {
  const cursor = new Cursor(source);
  const magic = String.fromCharCode(...cursor.bytes(MAGIC.length, "its first four bytes"));
  if (magic !== MAGIC) cursor.fail(`it begins with ${show(magic)} and not with "${MAGIC}"`);
  checkVersion(cursor);
  const tensorCount = countOf(cursor, "tensors", LEAST_TENSOR);
  const keyCount = countOf(cursor, "keys", LEAST_KEY);
  const metadata = new Map<string, Value>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.text(`the name of key ${i + 1}`);
    if (key === "") cursor.fail(`the name of key ${i + 1} is empty`);
    if (metadata.has(key)) cursor.fail(`the ${named("key", key)} is there twice`);
    metadata.set(key, readValue(cursor, valueType(cursor, key), key));
  }
  const infos = new Map<string, GgufTensor>();
  const alignment = alignmentOf(cursor, metadata);
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensor(cursor, i, alignment);
    if (infos.has(tensor.name)) {
      cursor.fail(`the ${named("tensor", tensor.name)} is there twice`);
    }
    infos.set(tensor.name, tensor);
  }
  return { metadata, tensors: placed(cursor, [...infos.values()], alignment) };
}

function checkVersion(cursor: Cursor): void {
  const version = cursor.u32("its version");
  // 2 differs in nothing that is read.
  if (version === VERSION || version === 2) return;
  const isSwapped = version === VERSION << 24 || version === 2 << 24;
  cursor.fail(
    isSwapped
      ? `its numbers are big-endian, and only little-endian ones are read`
      : `it has version ${version}, and 2 and ${VERSION} are read`,
  );
}

function countOf(cursor: Cursor, what: string, least: number): number {
  const count = cursor.count(`the number of its ${what}`);
  if (count <= Math.min(MOST, cursor.rest / least)) return count;
  return cursor.fail(
    `it should have ${told(count)} ${what}; ${MOST} are the most that are read, and ${cursor.rest} bytes follow`,
  );
}

function valueType(cursor: Cursor, key: string) {
  const number = cursor.u32(`the type of ${named("key", key)}`);
  const type = valueTypes[number];
  if (type === undefined) cursor.fail(`the ${named("key", key)} is of the unknown type ${number}`);
  return type;
}

/** The arrays of numbers; a truth value is a byte. */
const arrays = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  bool: Uint8Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
} as const;

function readValue(cursor: Cursor, type: (typeof valueTypes)[number], key: string): Value {
  const what = `the value of ${named("key", key)}`;
  if (type === "string") return cursor.text(what);
  if (type === "array") return readArray(cursor, key);
  const [value] = readNumbers(cursor, type, 1, what);
  if (type === "bool") return value === 1;
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function readArray(cursor: Cursor, key: string): readonly string[] | NumberArray {
  const type = valueType(cursor, key);
  const count = cursor.count(`the length of ${named("key", key)}`);
  if (type === "array") cursor.fail(`the ${named("key", key)} is an array of arrays`);
  const least = type === "string" ? 8 : arrays[type].BYTES_PER_ELEMENT;
  if (count > cursor.rest / least) {
    cursor.fail(
      `the ${named("key", key)} should have ${told(count)} elements, and ${cursor.rest} bytes follow`,
    );
  }
  if (type !== "string") {
    return readNumbers(cursor, type, count, `the elements of ${named("key", key)}`);
  }
  const texts: string[] = [];
  for (let i = 0; i < count; i++) {
    texts.push(cursor.text(`element ${i} of ${named("key", key)}`));
  }
  return texts;
}

/** Every machine with WebGPU is little-endian, so an array's bytes are the file's own. */
function readNumbers(cursor: Cursor, type: keyof typeof arrays, count: number, what: string) {
  const numbers = new arrays[type](count);
  new Uint8Array(numbers.buffer).set(cursor.bytes(numbers.byteLength, what));
  if (type === "bool" && numbers.some((value) => value !== 0 && value !== 1)) {
    cursor.fail(`${what} is neither true nor false`);
  }
  return numbers;
}

function alignmentOf(cursor: Cursor, metadata: ReadonlyMap<string, Value>): number {
  const alignment = metadata.get(ALIGNMENT_KEY) ?? ALIGNMENT;
  if (typeof alignment === "number" && Number.isInteger(Math.log2(alignment)) && alignment >= 1) {
    return alignment;
  }
  const got = typeof alignment === "number" ? alignment : typeof alignment;
  return cursor.fail(`its ${ALIGNMENT_KEY} is ${got}, and a power of two is needed`);
}

/** Its place is told from the data's beginning, which is not known yet. */
function readTensor(cursor: Cursor, i: number, alignment: number): GgufTensor {
  const name = cursor.text(`the name of tensor ${i + 1}`);
  const tensor = named("tensor", name);
  const dimensions = cursor.u32(`the dimensions of ${tensor}`);
  if (dimensions < 1 || dimensions > MOST_DIMENSIONS) {
    cursor.fail(`the ${tensor} has ${dimensions} dimensions; 1 to ${MOST_DIMENSIONS} are possible`);
  }
  const lengths = Array.from({ length: dimensions }, () => cursor.count(`the shape of ${tensor}`));
  const shape = lengths.toReversed();
  const number = cursor.u32(`the type of ${tensor}`);
  const offset = cursor.count(`the place of ${tensor}`);
  const dtype = numberType(cursor, number, tensor);
  // Beyond 2^53 a product is rounded, but stays far above any size that a file can have.
  const size = shape.reduce((product, length) => product * length, floatBytes[dtype]);
  if (!(size > 0 && offset + size <= cursor.rest)) {
    const text = shape.map(told).join(", ");
    cursor.fail(
      `the ${tensor} of shape (${text}) at ${told(offset)} would need ${told(size)} bytes, and ${cursor.rest} follow`,
    );
  }
  if (offset % alignment !== 0) {
    cursor.fail(`the ${tensor} begins at ${offset}, which is no multiple of ${alignment}`);
  }
  return { name, shape, dtype, begin: offset, end: offset + size };
}

function numberType(cursor: Cursor, number: number, tensor: string): NumberType {
  const name = tensorTypes.get(number);
  const type = numberTypes.find((known) => known === name);
  if (type !== undefined) return type;
  const known = numberTypes.join(", ");
  return cursor.fail(
    name === undefined
      ? `the ${tensor} is of the unknown type ${number}; read are ${known}`
      : `the ${tensor} is of type ${name}, and a model's numbers are read as ${known} only: take its file in F16`,
  );
}

/** The tensors in the order of their data, once it is sure that they are all of it, without overlaps and holes. */
function placed(cursor: Cursor, tensors: GgufTensor[], alignment: number): GgufTensor[] {
  const start = aligned(cursor.at, alignment);
  const size = Math.max(0, cursor.at + cursor.rest - start);
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const { name, begin, end: own } of tensors) {
    const expected = aligned(end, alignment);
    if (begin !== expected) {
      const what = begin < expected ? "overlaps the tensor before it" : "leaves a hole before it";
      cursor.fail(
        `the ${named("tensor", name)} begins at ${begin} and not at ${expected}, so it ${what}`,
      );
    }
    end = own;
  }
  // The last one may be filled up like the others.
  if (tensors.length > 0 && size !== end && size !== aligned(end, alignment)) {
    cursor.fail(`its tensors need ${end} bytes of data, and it has ${size}`);
  }
  return tensors.map((tensor) => ({
    ...tensor,
    begin: start + tensor.begin,
    end: start + tensor.end,
  }));
}
