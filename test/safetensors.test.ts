// The safetensors format: files made by hand from its description, and files that were tampered with.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ModelFileError } from "../src/errors.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  MAX_HEADER,
  type Tensor,
  type TensorView,
} from "../src/files/safetensors.ts";
import { parseStrictJson } from "../src/strict_json.ts";

/** A file as the format describes it, of any header and data, written without the module under test. */
function file(header: string | Uint8Array, data: number[] = [], length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + data.length);
  let rest = length ?? BigInt(json.length);
  for (let i = 0; i < 8; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const decode = (bytes: Uint8Array) => decodeSafetensors(bytes, "model.safetensors");

function floats({ data }: TensorView): number[] {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return Array.from({ length: data.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

const info = (shape: string, begin: number | string, end: number | string) =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;

// 1, -2 and 0.5 as little-endian IEEE 754
const ONE = [0, 0, 0x80, 0x3f];
const MINUS_TWO = [0, 0, 0, 0xc0];
/** The last four of -2's eight bytes in float64. */
const MINUS_TWO_64 = [0, 0, 0, 0xc0];
const HALF = [0, 0, 0, 0x3f];

describe("a file made by hand", () => {
  test("is read: names, shapes, floats and metadata", () => {
    const header = `{"__metadata__":{"a":"b"},"x":${info("[2,1]", 0, 8)},"y":${info("[]", 8, 12)}} `;
    const { tensors, metadata } = decode(file(header, [...ONE, ...MINUS_TWO, ...HALF]));
    expect(metadata).toEqual({ a: "b" });
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ["x", [2, 1]],
      ["y", []],
    ]);
    expect(tensors.map(floats)).toEqual([[1, -2], [0.5]]);
  });

  test("is the same, byte for byte, as the one that is written", () => {
    const header = `{"__metadata__":{},"x":${info("[2]", 0, 8)},"é":${info("[0,3]", 8, 8)}}`;
    const length = new TextEncoder().encode(header).length;
    const padded = header + " ".repeat(7 - ((length + 7) % 8));
    const tensors = [
      { name: "x", shape: [2], values: [1, -2] },
      { name: "é", shape: [0, 3], values: [] },
    ];
    expect(encodeSafetensors(tensors)).toEqual(file(padded, [...ONE, ...MINUS_TWO]));
  });

  test("is read with floats of 64 bits, where they are asked for", () => {
    const bytes = file(
      `{"__metadata__":{},"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}} `,
      [0, 0, 0, 0, ...MINUS_TWO_64],
    );
    const [tensor] = decodeSafetensors(bytes, "", ["F32", "F64"]).tensors;
    expect(new Float64Array(tensor.data.slice().buffer)).toEqual(Float64Array.of(-2));
    expect(tensor.dtype).toBe("F64");
    expect(() => decode(bytes)).toThrow(
      `tensor "x" is of type "F64", and numbers are read as "F32" only`,
    );
    const written = encodeSafetensors([{ name: "x", shape: [1], dtype: "F64", values: [-2] }]);
    expect(decodeSafetensors(written, "", ["F64"])).toEqual(decodeSafetensors(bytes, "", ["F64"]));
  });

  test("is read in the order of its data, whatever the order of its header", () => {
    const header = `{"b":${info("[1]", 4, 8)},"a":${info("[1]", 0, 4)},"0":${info("[0]", 8, 8)}}`;
    const { tensors, metadata } = decode(file(header, [...ONE, ...HALF]));
    expect(tensors.map(({ name }) => name)).toEqual(["a", "b", "0"]);
    expect(metadata).toEqual({});
  });

  test("is read at any offset of a larger buffer", () => {
    const bytes = file(`{"x":${info("[1]", 0, 4)}}`, HALF);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(floats(decode(shifted.subarray(3)).tensors[0])).toEqual([0.5]);
  });
});

describe("a sentence for", () => {
  const one = `{"x":${info("[1]", 0, 4)}}`;
  test.each<[string, Uint8Array, string]>([
    [
      "an empty file",
      new Uint8Array(0),
      "it has 0 bytes, and the length of its header alone takes 8",
    ],
    ["a file of 7 bytes", new Uint8Array(7), "it has 7 bytes"],
    ["a header of length 0", file(one, ONE, 0n), "its header should have 0 bytes"],
    ["a header of 2^63 bytes", file(one, ONE, 2n ** 63n), "should have 9223372036854775808 bytes"],
    ["a header beyond the file", file(one, [], 1000n), "should have 1000 bytes"],
    [
      "a header longer than the format has",
      file("{}", [], BigInt(MAX_HEADER + 1)),
      `should have ${MAX_HEADER + 1} bytes; 2 to ${MAX_HEADER} are possible`,
    ],
    ["a header that begins with a space", file(` ${one}`, ONE), `does not begin with "{"`],
    ["a header that is no object", file(`[]`), `does not begin with "{"`],
    ["a header cut short", file(one.slice(0, -1), ONE), "is not usable JSON"],
    ["a header that is not UTF-8", file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "JSON"],
    [
      "a name twice",
      file(`{"x":${info("[1]", 0, 4)},"x":${info("[1]", 0, 4)}}`, ONE),
      `the key "x" is there twice`,
    ],
    [
      "a name twice, once in escapes",
      file(`{"x":${info("[1]", 0, 4)},"\\u0078" :${info("[1]", 0, 4)}}`, ONE),
      `the key "x" is there twice`,
    ],
    [
      "a property twice",
      file(`{"x":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, ONE),
      `the key "shape" is there twice`,
    ],
    [
      "a tensor __proto__",
      file(`{"__proto__":${info("[1]", 0, 4)}}`, ONE),
      `"__proto__" is not allowed`,
    ],
    [
      "deep nesting",
      file(`{"x":${"[".repeat(1e5)}${"]".repeat(1e5)}}`),
      "nested more than 100 deep",
    ],
    ["metadata that is a text", file(`{"__metadata__":"a"}`), `__metadata__ is "a"`],
    ["metadata with a number", file(`{"__metadata__":{"a":1}}`), `__metadata__ is {"a":1}`],
    ["a tensor that is a list", file(`{"x":[1]}`), `tensor "x" is described by [1]`],
    ["no type", file(`{"x":{"shape":[1],"data_offsets":[0,4]}}`, ONE), `is of type missing`],
    [
      "an unknown property",
      file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"stride":1}}`, ONE),
      `unknown property "stride"`,
    ],
    ["a negative size", file(`{"x":${info("[-1]", 0, 4)}}`, ONE), "has the shape [-1]"],
    ["half a row", file(`{"x":${info("[0.5]", 0, 4)}}`, ONE), "has the shape [0.5]"],
    ["a size beyond 2^53", file(`{"x":${info("[9007199254740993]", 0, 4)}}`, ONE), "has the shape"],
    [
      "a product beyond any number",
      file(`{"x":${info(`[${Array(50).fill("9007199254740991").join()}]`, 0, 4)}}`, ONE),
      "needs Infinity bytes",
    ],
    ["a shape that is a text", file(`{"x":${info(`"1"`, 0, 4)}}`, ONE), `has the shape "1"`],
    ["three offsets", file(`{"x":${info("[1]", 0, "4,8")}}`, ONE), "data_offsets [0,4,8]"],
    ["an end before its begin", file(`{"x":${info("[1]", 4, 0)}}`, ONE), "give it -4"],
    ["a shape that is not its bytes", file(`{"x":${info("[2]", 0, 4)}}`, ONE), "needs 8 bytes"],
    [
      "a hole",
      file(`{"x":${info("[1]", 4, 8)}}`, [...ONE, ...ONE]),
      'tensor "x" begins at 4 and not at 0, so it leaves a hole before it',
    ],
    [
      "an overlap",
      file(`{"x":${info("[1]", 0, 4)},"y":${info("[1]", 0, 4)}}`, ONE),
      'tensor "y" begins at 0 and not at 4, so it overlaps the tensor before it',
    ],
    ["a byte too many", file(one, [...ONE, 0]), "its tensors need 4 bytes of data, and it has 5"],
    ["a byte too few", file(one, ONE.slice(1)), "its tensors need 4 bytes of data, and it has 3"],
  ])("%s", (_, bytes, message) => {
    expect(() => decode(bytes)).toThrow(ModelFileError);
    expect(() => decode(bytes)).toThrow(message);
    expect(() => decode(bytes)).toThrow(/^model\.safetensors is not .* or train again\.$/);
  });

  test.each(["F16", "I8", "F8_E4M3", "?"])(
    "numbers of type %s, without calling them damaged",
    (type) => {
      expect(() => decode(file(one.replace("F32", type), ONE))).toThrow(
        `model.safetensors cannot be used: tensor "x" is of type "${type}", and numbers are read as "F32" only. Take a file`,
      );
    },
  );

  test("a header that would be too long to be read back", () => {
    const metadata = { text: "x".repeat(MAX_HEADER) };
    expect(() => encodeSafetensors([], metadata)).toThrow(/header .* would have \d+ bytes/);
  });
});

// A key __proto__ cannot be read back, and one of a number moves to the front of an object.
const name = fc
  .string({ unit: "binary" })
  .filter((name) => !/^(__proto__|__metadata__)$/.test(name));
const tensor: fc.Arbitrary<Tensor> = fc
  .record({ name, shape: fc.array(fc.nat(4), { maxLength: 3 }) })
  .chain(({ name, shape }) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const values = fc.array(fc.float({ noNaN: true }), { minLength: length, maxLength: length });
    return values.map((values) => ({ name, shape, values }));
  });
const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 5 });
const metadata = fc.dictionary(name, fc.string({ unit: "binary" }), { maxKeys: 3 });

/** The sum of a file's parts is the file, so nothing was read twice, made up or left out. */
function expectWhole(bytes: Uint8Array, tensors: TensorView[]): void {
  const header = 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  let size = 0;
  for (const { shape, data } of tensors) {
    expect(data.length).toBe(4 * shape.reduce((a, b) => a * b, 1));
    size += data.length;
  }
  expect(header + size).toBe(bytes.length);
}

test("what is written is what is read, for any tensors and metadata", () => {
  fc.assert(
    fc.property(tensors, metadata, (tensors, metadata) => {
      const bytes = encodeSafetensors(tensors, metadata);
      const back = decode(bytes);
      expect(Object.entries(back.metadata)).toEqual(Object.entries(metadata));
      expect(back.tensors).toHaveLength(tensors.length);
      for (const { name, shape, values } of tensors) {
        const view = back.tensors.find((view) => view.name === name)!;
        expect(view.shape).toEqual(shape);
        expect(floats(view)).toEqual(Array.from(values));
      }
      expectWhole(bytes, back.tensors);
      expect(encodeSafetensors(tensors, metadata)).toEqual(bytes);
    }),
    { numRuns: 500 },
  );
});

/** Changes of the kind that a bad disk, a bad program or a bad person makes. */
const mutation = fc.oneof(
  fc.record({ kind: fc.constant("flip"), at: fc.nat(), with: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant("cut"), at: fc.nat(), with: fc.nat(16) }),
  fc.record({ kind: fc.constant("insert"), at: fc.nat(), with: fc.nat(255) }),
  fc.record({ kind: fc.constant("swap"), at: fc.nat(), with: fc.nat() }),
  fc.record({ kind: fc.constant("digit"), at: fc.nat(), with: fc.nat(9) }),
);

function mutate(
  bytes: Uint8Array,
  { kind, at, with: value }: { kind: string; at: number; with: number },
) {
  const out = Array.from(bytes);
  if (out.length === 0) return bytes;
  const i = at % out.length;
  if (kind === "flip") out[i] ^= value;
  else if (kind === "cut") out.splice(i, value + 1);
  else if (kind === "insert") out.splice(i, 0, value);
  else if (kind === "swap") [out[i], out[value % out.length]] = [out[value % out.length], out[i]];
  else {
    // a digit of the header, so that numbers change and the JSON stays whole
    const digits = [...out.keys()].filter((k) => k >= 8 && out[k] >= 0x30 && out[k] <= 0x39);
    if (digits.length > 0) out[digits[at % digits.length]] = 0x30 + value;
  }
  return Uint8Array.from(out);
}

function refusalOf(bytes: Uint8Array): unknown {
  try {
    decode(bytes);
  } catch (error) {
    return error;
  }
}

function expectSentence(error: unknown): void {
  expect(error).toBeInstanceOf(ModelFileError);
  expect((error as Error).message.length).toBeLessThan(2000);
}

test("a tampered file is either valid or a ModelFileError, never anything else", () => {
  const outcomes = { valid: 0, refused: 0 };
  fc.assert(
    fc.property(
      tensors,
      metadata,
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      (tensors, metadata, mutations) => {
        const bytes = mutations.reduce(mutate, encodeSafetensors(tensors, metadata));
        const refusal = refusalOf(bytes);
        if (refusal === undefined) expectWhole(bytes, decode(bytes).tensors);
        else expectSentence(refusal);
        outcomes[refusal === undefined ? "valid" : "refused"]++;
      },
    ),
    { numRuns: 10_000 },
  );
  // both sides of the property were seen
  expect(Math.min(outcomes.valid, outcomes.refused)).toBeGreaterThan(100);
});

test("a file cut anywhere is a ModelFileError", () => {
  const bytes = encodeSafetensors([{ name: "x", shape: [3], values: [1, 2, 3] }], { a: "b" });
  for (let end = 0; end < bytes.length; end++) {
    expect(() => decode(bytes.subarray(0, end))).toThrow(ModelFileError);
  }
});

test("strict JSON is JSON.parse, for any JSON without a key twice", () => {
  const noProto = (text: string) => !text.includes(`"__proto__":`);
  fc.assert(
    fc.property(fc.json().filter(noProto), (text) => {
      expect(parseStrictJson(text)).toEqual(JSON.parse(text));
    }),
  );
  const long = JSON.stringify({ text: `{"\\:`.repeat(1e5) });
  expect(parseStrictJson(long)).toEqual(JSON.parse(long));
});
