// The angles that q and k are turned by, and their table for the GPU.

import { expect, test } from "vitest";
import { turnsOf, turnTable } from "../src/model/turns.ts";

test("position t turns pair i by t · theta^(-2i / HS), and position 0 nothing", () => {
  const { cos, sin } = turnsOf(10_000, { T: 3, HS: 4 });
  expect([...cos.subarray(0, 2), ...sin.subarray(0, 2)]).toEqual([1, 1, 0, 0]);
  [1, 0.01, 2, 0.02].forEach((angle, i) => {
    expect(cos[2 + i]).toBeCloseTo(Math.cos(angle), 15);
    expect(sin[2 + i]).toBeCloseTo(Math.sin(angle), 15);
  });
});

test("the table has cos and sin side by side, each rounded once", () => {
  const turns = turnsOf(10_000, { T: 1500, HS: 6 });
  const table = turnTable(turns);
  expect(table.length).toBe(1500 * 6);
  const at = (1499 * 3 + 1) * 2; // an angle of 69.6, where float32 arithmetic would be off
  const angle = 1499 * 10_000 ** (-2 / 6);
  expect([table[at], table[at + 1]]).toEqual([
    Math.fround(Math.cos(angle)),
    Math.fround(Math.sin(angle)),
  ]);
});
