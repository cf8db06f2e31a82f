// What a step tells the kernels, in the places where their struct `Step` has it.

import { platform } from "#platform";
import { expect, test } from "vitest";
import { StepData, STEP_FIELDS } from "../src/model/step_data.ts";
import { batchAt } from "../src/text/batches.ts";

/** The bytes' numbers, by the fields of the struct. */
function read(bytes: ArrayBuffer): Record<string, number | number[]> {
  const struct = /struct Step \{([^}]*)\}/.exec(platform.shaders()["pieces/step"])![1];
  const fields: Record<string, number | number[]> = {};
  let at = 0;
  for (const [, name, type] of struct.matchAll(/(\w+): (u32|f32|vec2u),/g)) {
    if (type === "vec2u") at = Math.ceil(at / 8) * 8;
    if (type === "f32") [fields[name]] = new Float32Array(bytes, at, 1);
    if (type === "u32") [fields[name]] = new Uint32Array(bytes, at, 1);
    if (type === "vec2u") fields[name] = [...new Uint32Array(bytes, at, 2)];
    at += type === "vec2u" ? 8 : 4;
  }
  expect(Math.ceil(at / 8) * 8).toBeLessThanOrEqual(STEP_FIELDS * 4);
  return fields;
}

test("a step's scalars lie where the kernels read them, the steps before it in two words", () => {
  const batch = batchAt([Int32Array.of(0, 1, 2)], 0, 1, 2);
  const data = new StepData(2, 3);
  const told = { slot: 3, lr: 0.5, correction1: 2, correction2: 4, muon_lr: 0.25 };
  const loss_scale = 1 / batch.num_targets;
  data.pack(batch, { ...told, step: 2 ** 33 + 1024, micro: 6, row: 5 });
  const far = { step: 2 ** 33 + 1024, done: [1023, 2], micro: 6, row: 5 };
  expect(read(data.bytes)).toEqual({ ...told, loss_scale, ...far });
  data.pack(batch, { ...told, step: 1 });
  expect(read(data.bytes)).toEqual({
    ...told,
    loss_scale,
    step: 1,
    done: [0, 0],
    micro: 0,
    row: 0,
  });
});
