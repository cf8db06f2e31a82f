// Floats of every type as bytes, and back.

import { expect, test } from "vitest";
import { type Dtype, floatBytes, fromFloats, toFloat32 } from "../src/files/floats.ts";

const round = (values: ArrayLike<number>, dtype: Dtype) => {
  const bytes = fromFloats(values, dtype);
  expect(bytes.length).toBe(values.length * floatBytes[dtype]);
  const moved = new Uint8Array(bytes.length + 1);
  moved.set(bytes, 1);
  const into = new Float32Array(values.length);
  toFloat32(moved.subarray(1), dtype, into); // at no multiple of anything
  return into;
};

test("what a type can hold comes back as it was, however much it is", () => {
  const few = Float32Array.of(0, -0, 1, -1.5, 2 ** -14, 65504, Infinity, -Infinity);
  const many = Float32Array.from({ length: 2 ** 17 + 3 }, (_, i) => (i % 255) - 100);
  for (const dtype of ["F32", "F64", "F16", "BF16"] as const) {
    const values = dtype === "BF16" ? few.with(5, 3 * 2 ** 100) : few;
    expect(round(values, dtype)).toEqual(values);
    expect(round(many, dtype)).toEqual(many);
  }
});

test("bf16 is the nearest one, of two alike the even one", () => {
  // 1 + 2^-7 is the next after 1.
  const [one, next] = [1, 1 + 2 ** -7];
  expect([...fromFloats([1, next, -2], "BF16")]).toEqual([0x80, 0x3f, 0x81, 0x3f, 0x00, 0xc0]);
  const middle = 1 + 2 ** -8;
  const above = middle + 2 ** -20;
  expect([...round([middle, above, next + 2 ** -8, -middle], "BF16")]).toEqual([
    one,
    next,
    1 + 2 ** -6,
    -one,
  ]);
  const signalling = new Float32Array(Uint32Array.of(0x7f800001).buffer);
  expect([...round([3.4e38, -3.4e38, NaN], "BF16"), ...round(signalling, "BF16")]).toEqual([
    Infinity,
    -Infinity,
    NaN,
    NaN,
  ]);
});
