// Settings of a model that cannot be together, and the sentence that names them.

import { expect, test } from "vitest";
import { type ConfigChoice, resolveConfig } from "../src/config.ts";
import { conflicts } from "../src/config/conflicts.ts";

const labels = { n_head: "--n-head", n_kv_head: "--n-kv-head", head_dim: "--head-dim" };

test.each<[Partial<ConfigChoice>, string]>([
  [
    { n_head: 4, n_kv_head: 3 },
    "--n-head 4 cannot share --n-kv-head 3 heads of keys and values equally; choose an n_kv_head that divides n_head, such as 2,",
  ],
  [{ n_head: 4, n_kv_head: 8 }, "--n-head 4 cannot share --n-kv-head 8 heads"],
  [
    { n_embd: 15, n_head: 3, position: "rope" },
    "With position rope the channels of a head turn in pairs, but n_embd 15 and --n-head 3 make heads of 5; " +
      "choose an even number, such as --head-dim 6, or position learned.",
  ],
  [
    { head_dim: 7, position: "rope" },
    "With position rope the channels of a head turn in pairs, but --head-dim is 7; choose an even number, such as --head-dim 8,",
  ],
])("%j", (overrides, message) => {
  expect(() => resolveConfig("microgpt", overrides, labels)).toThrow(message);
});

test("dropout leaves something", () => {
  expect(() => resolveConfig("microgpt", { dropout: 1 }, { dropout: "--dropout" })).toThrow(
    "--dropout is 1; it must be a number of at least 0 and below 1.",
  );
});

test("what is left out is in no conflict", () => {
  expect(conflicts({ n_kv_head: 3 })).toEqual([]);
  expect(conflicts({ n_embd: 15, n_head: 3 })).toEqual([]);
});
