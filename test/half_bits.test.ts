// Half precision by hand is that of the language, where the language has it.

import { expect, test } from "vitest";
import { fromHalves, toHalves } from "../src/device/half.ts";

const all = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);

test("every number of f16 comes back as it was", () => {
  const numbers = fromHalves(all);
  const known = Float32Array.from(new Float16Array(all.buffer));
  expect(numbers.findIndex((x, i) => !Object.is(x, known[i]))).toBe(-1);
  const back = toHalves(numbers);
  expect(all.filter((bits, i) => !Number.isNaN(numbers[i]) && back[i] !== bits)).toHaveLength(0);
  expect(fromHalves(toHalves([NaN, -NaN]))).toEqual(Float32Array.of(NaN, NaN));
});

test("all else is rounded to the nearest, of two as near to the even one", () => {
  const whole = fromHalves(all).filter((x) => x >= 0 && x < Infinity);
  const floats = new Uint32Array(1);
  const next = (x: number, by: number) => {
    new Float32Array(floats.buffer)[0] = x;
    floats[0] += by;
    return new Float32Array(floats.buffer)[0];
  };
  const between = [...whole].slice(1).map((x, i) => (whole[i] + x) / 2);
  const edges = [...between, 65520, 2 ** -25, 2 ** -149, 3e38, Infinity];
  const near = edges.flatMap((x) => (x === Infinity ? [x] : [next(x, -1), x, next(x, 1)]));
  const numbers = Float32Array.from([...near, ...near.map((x) => -x), 0, -0]);
  expect(toHalves(numbers)).toEqual(new Uint16Array(new Float16Array(numbers).buffer));
});
