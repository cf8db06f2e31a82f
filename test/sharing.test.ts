// Memory that tensors share: never at the same time, and at the price of no barrier.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import type { Dispatch } from "../src/device/schedule.ts";
import { planSharing } from "../src/device/sharing.ts";
import { placeholders, tableBytes } from "../src/device/tensors.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { device } from "./harness/device.ts";

const models: Partial<Config>[] = [
  {},
  { n_layer: 2, n_embd: 64, block_size: 64, batch_size: 8 },
  { n_layer: 5, n_embd: 12, n_head: 3, block_size: 9, batch_size: 4 },
  { n_layer: 2, activation: "gelu", dropout: 0.1, embedding_norm: false, norm_gain: true },
  {
    n_layer: 2,
    activation: "swiglu",
    position: "rope",
    qk_norm: true,
    norm_gain: true,
    final_norm: true,
    tie_embeddings: true,
    dropout: 0.1,
    optimizer: "muon",
  },
];

/** The buffers of a dispatch, by label, and whether it writes to them. */
function uses({ kernel, bindings }: Dispatch): [string, boolean][] {
  return device.kernels
    .bindings(kernel)
    .filter(({ name }) => name !== "sizes")
    .map(({ name, writes }) => [bindings[name].buffer.label, writes]);
}

/** Where in a list each tensor is used, by label. */
function placesIn(list: readonly Dispatch[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  list.forEach((dispatch, i) => {
    for (const [label] of uses(dispatch)) places.set(label, [...(places.get(label) ?? []), i]);
  });
  return places;
}

/** Dispatches before which a barrier stands: what they touch was written, or read and is written now. */
function barriers(list: readonly Dispatch[], buffer: (label: string) => string): number[] {
  const wrote = new Map<string, boolean>();
  return [...list.keys()].filter((i) => {
    const touched = uses(list[i]).map(([label, writes]) => [buffer(label), writes] as const);
    const waits = touched.some(([name, writes]) => wrote.has(name) && (wrote.get(name) || writes));
    const written = new Set(touched.filter(([, writes]) => writes).map(([name]) => name));
    for (const [name] of touched) wrote.set(name, written.has(name));
    return waits;
  });
}

test.each(models)(
  "no two tensors of a buffer live at once, and no barrier is added: %j",
  (overrides) => {
    const config = resolveConfig("microgpt", overrides);
    const { table, groups, list } = planStep(device, config, dimsOf(config, 27));
    const dispatches = list(placeholders(table));
    const alone = groups.filter((names) => names.length === 1).length;
    expect(groups.length).toBeGreaterThan(alone);
    expect(tableBytes(table, groups)).toBeLessThan(tableBytes(table));
    expect(new Set(groups.flat()).size).toBe(groups.flat().length);

    const places = placesIn(dispatches);
    for (const names of groups) {
      const lives = names.map((name) => places.get(name)!).toSorted((a, b) => a[0] - b[0]);
      for (let k = 1; k < lives.length; k++) {
        expect(lives[k - 1].at(-1)).toBeLessThan(lives[k][0]);
        const first = uses(dispatches[lives[k][0]]);
        const name = names.find((name) => places.get(name) === lives[k]);
        expect(first).toContainEqual([name, true]); // it begins with a write
      }
    }
    const shared = new Map(groups.flatMap((names) => names.map((name) => [name, names[0]])));
    expect(barriers(dispatches, (label) => shared.get(label) ?? label)).toEqual(
      barriers(dispatches, (label) => label),
    );
  },
);

test.each(models)("nor in a validation between two steps: %j", (overrides) => {
  const config = resolveConfig("microgpt", overrides);
  const { table, groups, evaluation } = planStep(device, config, dimsOf(config, 27));
  const dispatches = evaluation(placeholders(table));
  const places = placesIn(dispatches);
  for (const names of groups) {
    const lives = names
      .filter((name) => places.has(name))
      .map((name) => ({ name, at: places.get(name)! }))
      .toSorted((a, b) => a.at[0] - b.at[0]);
    lives.forEach(({ name, at }, k) => {
      expect(uses(dispatches[at[0]])).toContainEqual([name, true]);
      expect(lives[k - 1]?.at.at(-1) ?? -1).toBeLessThan(at[0]);
    });
  }
});

test("a tensor that is read before it is written keeps its own memory", () => {
  const table = ["a", "b", "c"].map((name) => ({ name, shape: [4, 4] }));
  const { a, b, c } = placeholders(table);
  const { rstd } = placeholders([{ name: "rstd", shape: [4] }]);
  const norm = (out: typeof a, inp: typeof a): Dispatch => ({
    op: "rmsnorm_forward",
    kernel: "rmsnorm_forward",
    constants: {},
    sizes: {},
    bindings: { out, rstd, inp, gain: device.nothing },
    grid: [1, 1, 1],
  });
  // a comes from outside: what it holds must be there for the first dispatch.
  expect(planSharing(device.kernels, [norm(b, a), norm(c, b)], table)).toEqual([
    ["b"],
    ["c"],
    ["a"],
  ]);
});

test("two layers take no more than 40 dispatches, on software GPUs and on hardware", () => {
  const config = resolveConfig("microgpt", models[1]);
  for (const software of [true, false]) {
    const adapter = Object.create(device, { software: { value: software } });
    const { table, list } = planStep(adapter, config, dimsOf(config, 65));
    expect(list(placeholders(table)).length).toBeLessThanOrEqual(40);
  }
});
