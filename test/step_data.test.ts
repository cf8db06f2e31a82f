// What a step tells the kernels, in the places where their struct `Step` has it.

import { expect, test } from "vitest";
import { StepData } from "../src/model/step_data.ts";
import { batchAt } from "../src/text/batches.ts";

test("a step's scalars, the steps before it in two words, and its part's first row", () => {
  const batch = batchAt([Int32Array.of(0, 1, 2)], 0, 1, 2);
  const data = new StepData(2, 3);
  const scalars = { slot: 3, lr: 0.5, correction1: 2, correction2: 4 };
  data.pack(batch, { ...scalars, step: 2 ** 33 + 8, row: 5 });
  const floats = new Float32Array(data.bytes, 4, 5);
  expect([...floats]).toEqual([0.5, 2, 4, 1 / batch.num_targets, 2 ** 33]); // the last as f32 has it
  expect(new Uint32Array(data.bytes, 24, 3)).toEqual(Uint32Array.of(7, 2, 5));
  data.pack(batch, { ...scalars, step: 1 });
  expect(new Uint32Array(data.bytes, 24, 3)).toEqual(Uint32Array.of(0, 0, 0));
  expect(new Uint32Array(data.bytes)[0]).toBe(3);
});
