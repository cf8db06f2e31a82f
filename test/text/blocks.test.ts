// Blocks of a stream that are held out by the seed: which they are, and that no window of training reads them.

import fc from "fast-check";
import { expect, test } from "vitest";
import { resolveConfig } from "../../src/config.ts";
import { drawBlocks } from "../../src/text/blocks.ts";
import { TokenStream } from "../../src/text/stream.ts";
import { splitTokens } from "../../src/text/split.ts";

const iota = (length: number) => Int32Array.from({ length }, (_, i) => i);

const configOf = (overrides: object) =>
  resolveConfig("microgpt", { format: "text", val_split: "blocks", ...overrides });

test("blocks part the text, and are about as much as was asked for", () => {
  const sizes = fc.record({
    window: fc.integer({ min: 2, max: 40 }),
    windows: fc.integer({ min: 2, max: 400 }),
    fraction: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.nat(),
  });
  const property = fc.property(sizes, ({ window, windows, fraction, seed }) => {
    const length = window * windows + (seed % window);
    const held = Math.round(window + fraction * (length - 2 * window));
    const parts = drawBlocks(length, held, { window, seed });
    const all = [...parts.held, ...parts.rest].toSorted(([a], [b]) => a - b);
    expect(all[0][0]).toBe(0);
    expect(all.at(-1)![1]).toBe(length);
    for (let i = 1; i < all.length; i++) expect(all[i][0]).toBe(all[i - 1][1]);
    for (const [start, end] of all) expect(end - start).toBeGreaterThanOrEqual(window);
    expect(parts.held.length).toBeGreaterThan(0);
    expect(parts.rest.length).toBeGreaterThan(0);
    const most = Math.max(window, Math.min(held, length - held, 16 * window)); // of a block
    const sum = parts.held.reduce((sum, [start, end]) => sum + end - start, 0);
    expect(Math.abs(sum - held)).toBeLessThanOrEqual(2 * most);
  });
  fc.assert(property, { numRuns: 300 });
});

test("no window of training reads what is held out, and all the rest is read", () => {
  const config = configOf({ block_size: 4, val_fraction: 0.3, seed: 7 });
  const { train, validation, num_val_tokens } = splitTokens(config, iota(2000));
  const held = new Set(validation.flatMap((sequence) => [...sequence]));
  expect(held.size).toBe(num_val_tokens);
  expect(num_val_tokens / 2000).toBeCloseTo(0.3, 1);
  expect(held.has(0) && held.has(1999)).toBe(false); // with this seed
  const read = new Set<number>();
  for (let step = 0; step < 20_000; step++) {
    const window = (train as TokenStream).windowAt(step, 0);
    window.forEach((token, i) => {
      expect(token).toBe(window[0] + i);
      read.add(token);
    });
  }
  expect(read.size).toBe(2000 - num_val_tokens);
  expect([...read].some((token) => held.has(token))).toBe(false);
});

test("the seed draws them: the same ones for the same, others for another", () => {
  const heldBy = (seed: number) =>
    splitTokens(configOf({ block_size: 4, val_fraction: 0.2, seed }), iota(1000)).validation;
  expect(heldBy(1)).toEqual(heldBy(1));
  expect(heldBy(1)).not.toEqual(heldBy(2));
});

test("the end of a text is held out as ever where nobody asks for blocks, window for window", () => {
  const config = resolveConfig("microgpt", { format: "text", block_size: 4, val_fraction: 0.2 });
  const { train, validation } = splitTokens(config, iota(100));
  expect(validation[0][0]).toBe(80);
  const plain = new TokenStream(iota(80), config);
  for (let step = 0; step < 50; step++) {
    expect((train as TokenStream).windowAt(step, 1)).toEqual(plain.windowAt(step, 1));
  }
});
