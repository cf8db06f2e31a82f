// The safetensors format, floats only: named tensors to bytes, and a strict reader of such bytes.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": […], "data_offsets": [begin, end]}, …},
//             where F32 may be another type of floats, padded with spaces to a multiple of 8 bytes
//   data      the tensors' little-endian floats, one after the other; offsets count from here
//
// A file of a stranger can say anything, so the reader takes nothing that it has not checked:
// https://huggingface.co/docs/safetensors

import { ModelFileError } from "../errors.ts";
import { isObject, parseStrictJson, show } from "../strict_json.ts";
import { type Dtype, floatBytes, fromFloats } from "./floats.ts";

/** Longest header that is read, as the format's own library has it: one of ours holds a whole tokenizer. */
export const MAX_HEADER = 100_000_000;

const LENGTH_BYTES = 8;

/** A tensor to write. */
export interface Tensor {
  name: string;
  shape: readonly number[];
  /** F32 where absent. */
  dtype?: Dtype;
  /** Rounded to `dtype`. */
  values: ArrayLike<number>;
}

/** Where a tensor lies in a file, in bytes from its beginning. */
export interface TensorPlace<D extends Dtype> {
  name: string;
  shape: readonly number[];
  dtype: D;
  begin: number;
  end: number;
}

/** A tensor that was read. */
export interface TensorView<D extends Dtype = Dtype> {
  name: string;
  shape: readonly number[];
  dtype: D;
  /** Its floats, little-endian, at any alignment: a view of the file's bytes. */
  data: Uint8Array;
}

/** The bytes of a file with these tensors, in this order. The same input gives the same bytes. */
export function encodeSafetensors(
  tensors: readonly Tensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  return joined(safetensorsPieces(tensors, metadata));
}

/**
 * The same bytes piece by piece, the header first, then each tensor: a view of its values where they are of its dtype,
 * so that a file is written in no more memory than the largest of the others takes.
 * @throws ModelFileError at once if the header would be longer than is read back
 */
export function safetensorsPieces(
  tensors: readonly Tensor[],
  metadata: Readonly<Record<string, string>> = {},
): Iterable<Uint8Array<ArrayBuffer>> {
  const sized = tensors.map(({ values, ...tensor }) => ({ ...tensor, size: values.length }));
  const { json, headerBytes } = encodeHeader(sized, metadata);
  const head = new Uint8Array(LENGTH_BYTES + headerBytes);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true);
  head.fill(0x20, LENGTH_BYTES);
  head.set(json, LENGTH_BYTES);
  return {
    *[Symbol.iterator]() {
      yield head;
      for (const { dtype = "F32", values } of tensors) yield fromFloats(values, dtype);
    },
  };
}

/** Pieces of a file as one. */
export function joined(pieces: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const all = [...pieces];
  const bytes = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of all) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

/**
 * The header, the bytes that it takes with the spaces after it, and those of the data.
 * @param largest number of bytes that it may have
 * @throws ModelFileError if it would have more
 */
export function encodeHeader(
  tensors: readonly (Omit<Tensor, "values"> & { size: number })[],
  metadata: Readonly<Record<string, string>>,
  largest = MAX_HEADER,
) {
  const header: [string, unknown][] = [["__metadata__", metadata]];
  let end = 0;
  for (const { name, shape, dtype = "F32", size } of tensors) {
    const begin = end;
    end += size * floatBytes[dtype];
    header.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  if (headerBytes > largest) {
    throw new ModelFileError(
      `The model could not be saved: the header of its file would have ${headerBytes} bytes, and ${largest} can be ` +
        `read back. Its ${tensors.length} tensors or the characters of its text are too many; choose fewer layers, ` +
        `or a text with fewer different characters.`,
    );
  }
  return { json, headerBytes, size: end };
}

/**
 * The tensors of a file, in the order of their data, and its metadata.
 * @param where the file, for the messages
 * @param dtypes that its tensors may have
 * @throws ModelFileError if anything about the bytes is not as the format has it
 */
export function decodeSafetensors<D extends Dtype = "F32">(
  bytes: Uint8Array,
  where: string,
  dtypes: readonly D[] = ["F32" as D],
): { tensors: TensorView<D>[]; metadata: Record<string, string> } {
  const { places, metadata } = decodePlaces(bytes, bytes.length, where, dtypes);
  const tensors = places.map(({ begin, end, ...tensor }) => ({
    ...tensor,
    data: bytes.subarray(begin, end),
  }));
  return { tensors, metadata };
}

/** How many of a file's first bytes decodePlaces() and decodeMetadata() need, which `bytes` has the first 8 of. */
export function headBytes(bytes: Uint8Array, size: number, where: string): number {
  return LENGTH_BYTES + headerLength(bytes, size, where);
}

/**
 * Where the tensors of a file lie, in their order, and its metadata.
 * @param bytes of which no more than the beginning need be there, see headBytes()
 * @param size of the whole file, in bytes
 * @throws ModelFileError as decodeSafetensors()
 */
export function decodePlaces<D extends Dtype>(
  bytes: Uint8Array,
  size: number,
  where: string,
  dtypes: readonly D[],
): { places: TensorPlace<D>[]; metadata: Record<string, string> } {
  const start = headBytes(bytes, size, where);
  const { __metadata__, ...infos } = parseHeader(bytes.subarray(LENGTH_BYTES, start), where);
  const entries = Object.entries(infos).map(([name, info]) => parseInfo(name, info, where, dtypes));
  // JSON's order is not the data's: JavaScript moves names like "0" to the front.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) {
      const what = entry.begin < end ? "overlaps the tensor before it" : "leaves a hole before it";
      fail(
        where,
        `tensor ${show(entry.name)} begins at ${entry.begin} and not at ${end}, so it ${what}`,
      );
    }
    end = entry.end;
  }
  if (end !== size - start) {
    fail(where, `its tensors need ${end} bytes of data, and it has ${size - start}`);
  }
  return {
    places: entries.map((entry) => ({
      ...entry,
      begin: start + entry.begin,
      end: start + entry.end,
    })),
    metadata: __metadata__ === undefined ? {} : parseMetadata(__metadata__, where),
  };
}

/**
 * The metadata of a file of which no more than the beginning need be there.
 * @throws ModelFileError if that is not as the format has it
 */
export function decodeMetadata(bytes: Uint8Array, where: string): Record<string, string> {
  const start = headBytes(bytes, bytes.length, where);
  const { __metadata__ = {} } = parseHeader(bytes.subarray(LENGTH_BYTES, start), where);
  return parseMetadata(__metadata__, where);
}

function headerLength(bytes: Uint8Array, size: number, where: string): number {
  if (size < LENGTH_BYTES) {
    fail(where, `it has ${size} bytes, and the length of its header alone takes 8`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  const rest = size - LENGTH_BYTES;
  if (length < 2n || length > BigInt(Math.min(MAX_HEADER, rest))) {
    fail(
      where,
      `its header should have ${length} bytes; 2 to ${MAX_HEADER} are possible, and ${rest} follow`,
    );
  }
  return Number(length);
}

function parseHeader(bytes: Uint8Array, where: string): Record<string, unknown> {
  if (bytes[0] !== "{".charCodeAt(0)) fail(where, `its header does not begin with "{"`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return parseStrictJson(text) as Record<string, unknown>;
  } catch (error) {
    fail(where, `its header is not usable JSON (${(error as Error).message})`);
  }
}

function parseMetadata(metadata: unknown, where: string): Record<string, string> {
  if (!isObject(metadata) || Object.values(metadata).some((text) => typeof text !== "string")) {
    fail(where, `its __metadata__ is ${show(metadata)} and not an object of texts`);
  }
  return metadata as Record<string, string>;
}

function parseInfo<D extends Dtype>(
  name: string,
  info: unknown,
  where: string,
  dtypes: readonly D[],
): TensorPlace<D> {
  const tensor = `tensor ${show(name)}`;
  if (!isObject(info)) fail(where, `${tensor} is described by ${show(info)} and not by an object`);
  const { dtype, shape, data_offsets, ...unknown } = info;
  const [extra] = Object.keys(unknown);
  if (extra !== undefined) fail(where, `${tensor} has the unknown property ${show(extra)}`);
  if (typeof dtype !== "string") fail(where, `${tensor} is of type ${show(dtype)}`);
  if (!dtypes.includes(dtype as D)) {
    const known = dtypes.map(show).join(", ");
    throw new ModelFileError(
      `${where} cannot be used: ${tensor} is of type ${show(dtype)}, and numbers are read as ${known} only. Take a file ` +
        `of the model in one of them.`,
    );
  }
  if (!isSizes(shape)) fail(where, `${tensor} has the shape ${show(shape)} and not whole numbers`);
  if (!isSizes(data_offsets) || data_offsets.length !== 2) {
    fail(where, `${tensor} has the data_offsets ${show(data_offsets)} and not two whole numbers`);
  }
  const [begin, end] = data_offsets;
  // Beyond 2^53 a product is rounded, but stays far above any size that a file can have.
  const size = shape.reduce((product, length) => product * length, floatBytes[dtype as D]);
  if (end - begin !== size) {
    fail(
      where,
      `${tensor} of shape ${show(shape)} needs ${size} bytes, and its data_offsets ${show(data_offsets)} ` +
        `give it ${end - begin}`,
    );
  }
  return { name, shape, dtype: dtype as D, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function fail(where: string, what: string): never {
  throw new ModelFileError(
    `${where} is not a safetensors file that can be used: ${what}. ` +
      `It is damaged or was not written by this program; restore a copy, or train again.`,
  );
}
