// Which pipeline trains a small model: most texts share one, whatever their vocabulary.

import { expect, test } from "vitest";
import { placeholders } from "../src/device/tensors.ts";
import { resolveConfig } from "../src/config.ts";
import { type Dims, dimsOf } from "../src/model/parameters.ts";
import { smallTrain, smallTuning } from "../src/small/ops.ts";
import { smallRunsTable } from "../src/small/runs.ts";

const BYTES = [16384, 32768, 49152];

function onDevice(bytes: number, software = true) {
  const limits = {
    maxComputeWorkgroupStorageSize: bytes,
    maxComputeInvocationsPerWorkgroup: 256,
  } as GPUSupportedLimits;
  return { software, lanes: software ? 8 : 32, gpu: { limits } as GPUDevice };
}

/** The constants of the pipeline; undefined where the model does not fit. */
function constants(device: ReturnType<typeof onDevice>, dims: Dims) {
  const tuning = smallTuning(device, dims);
  if (tuning === undefined) return undefined;
  const counts = { groups: 1, docs: 1, tokens: 1, orders: 1, schedules: 1 };
  const tensors = placeholders(smallRunsTable(dims, counts)) as Parameters<typeof smallTrain>[0];
  return smallTrain(tensors, dims, { docs: 1, capacity: 1, groups: 1 }, tuning).constants;
}

const microgpt = dimsOf(resolveConfig("microgpt"), 27);

test.each(BYTES)("vocabularies of 1 to 200 take a handful of pipelines: %i bytes", (bytes) => {
  const kinds = Array.from({ length: 200 }, (_, v) =>
    JSON.stringify(constants(onDevice(bytes), { ...microgpt, V: v + 1 })),
  ).filter((kind) => kind !== undefined);
  expect(kinds.length).toBeGreaterThan(20);
  expect(new Set(kinds).size).toBeLessThanOrEqual(5);
  // Texts in English: letters alone, with capitals, with punctuation and digits.
  const of = (V: number) => constants(onDevice(bytes), { ...microgpt, V });
  expect(of(28)).toEqual(of(32));
  expect(of(66)).toEqual(of(95));
});

test.each(BYTES)("what a pipeline takes has room for the model, and fits: %i bytes", (bytes) => {
  for (const software of [true, false]) {
    for (const C of [4, 8, 16, 24]) {
      for (const V of [1, 2, 27, 65, 100, 1000]) {
        const shape = { block_size: 8, n_embd: C, n_head: 2, n_layer: 2 };
        const dims = dimsOf(resolveConfig("microgpt", shape), V);
        const found = constants(onDevice(bytes, software), dims);
        if (found === undefined) continue;
        const { ACT, W, IDS, X, Y, Z } = found;
        expect(16 * ACT + 4 * W + 4 * IDS).toBeLessThanOrEqual(bytes);
        // x, per layer mid, qkv, att, the MLP's inside and 14 rows more; logits; dx
        const rows = 3 * C + 2 * (9 * C + 2 + 6) + 1 + Math.max(V, C) + C;
        expect(ACT).toBeGreaterThanOrEqual(rows * 2);
        expect(ACT).toBeGreaterThanOrEqual(X * Y * Z);
        const parameters = (2 * V + 8) * C + 24 * C * C;
        expect(W === 1 || W >= parameters).toBe(true);
      }
    }
  }
});
