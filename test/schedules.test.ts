// Learning rates: numbers worked out by hand, what holds of every schedule, and settings that make no schedule.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { ConfigError } from "../src/errors.ts";
import { learningRate, scheduleFactor } from "../src/model/optimizer.ts";

const rates = (overrides: Partial<Config>) => {
  const config = resolveConfig("microgpt", { num_steps: 10, learning_rate: 1, ...overrides });
  return Array.from({ length: config.num_steps }, (_, step) => learningRate(config, step));
};

const half = Math.SQRT1_2; // the cosine of an eighth of a turn

test.each<[Partial<Config>, number[]]>([
  [{ lr_schedule: "linear" }, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]],
  [
    { lr_schedule: "linear", warmup_steps: 2, final_lr_fraction: 0.2, learning_rate: 5 },
    [2.5, 5, 5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5],
  ],
  [
    { lr_schedule: "cosine", num_steps: 9, warmup_steps: 1, final_lr_fraction: 0.5 },
    // after the warm-up an eighth of the half turn a step
    [
      1,
      1,
      0.75 + Math.cos(Math.PI / 8) / 4,
      0.75 + half / 4,
      0.75 + Math.cos((3 * Math.PI) / 8) / 4,
      0.75,
      0.75 - Math.cos((3 * Math.PI) / 8) / 4,
      0.75 - half / 4,
      0.75 - Math.cos(Math.PI / 8) / 4,
    ],
  ],
  [
    { lr_schedule: "constant", warmup_steps: 4, final_lr_fraction: 0.1 },
    [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1],
  ],
  [
    { lr_schedule: "wsd", warmup_steps: 2, decay_fraction: 0.4 },
    [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25],
  ],
  [
    { lr_schedule: "wsd", decay_fraction: 0.5, final_lr_fraction: 0.5 },
    [1, 1, 1, 1, 1, 1, 0.9, 0.8, 0.7, 0.6],
  ],
  [{ lr_schedule: "wsd", decay_fraction: 1 }, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]],
])("%j", (overrides, expected) => {
  const found = rates(overrides);
  expect(found).toHaveLength(expected.length);
  found.forEach((rate, step) => expect(rate).toBeCloseTo(expected[step], 14));
});

const lr_schedule = fc.constantFrom<Config["lr_schedule"]>("linear", "cosine", "constant", "wsd");
const fraction = fc.double({ min: 0, max: 1, noNaN: true });

test("the factor rises to 1 in the warm-up, and then falls to the final fraction, never below it", () => {
  const steps = fc.integer({ min: 1, max: 300 });
  const decay = fc.double({ min: 0.01, max: 1, noNaN: true });
  fc.assert(
    fc.property(lr_schedule, steps, fraction, decay, fc.nat(99), (...drawn) => {
      const [lr_schedule, num_steps, warmup, decay_fraction, percent] = drawn;
      const final_lr_fraction = percent / 100; // so that steps are larger than what is rounded
      const longest = lr_schedule === "wsd" ? num_steps * (1 - decay_fraction) : num_steps;
      const warmup_steps = Math.floor(warmup * longest);
      const config = resolveConfig("microgpt", {
        lr_schedule,
        num_steps,
        warmup_steps,
        decay_fraction,
        final_lr_fraction,
      });
      const factors = Array.from({ length: num_steps }, (_, step) => scheduleFactor(config, step));
      const rising = [0, ...factors.slice(0, warmup_steps)];
      const falling = [1, ...factors.slice(warmup_steps), final_lr_fraction];
      expect(rising).toEqual(rising.toSorted((a, b) => a - b));
      expect(new Set(rising).size).toBe(rising.length);
      expect(rising.at(-1)).toBe(warmup_steps > 0 ? 1 : 0);
      expect(falling).toEqual(falling.toSorted((a, b) => b - a));
      expect(falling[Math.min(1, num_steps - warmup_steps)]).toBeCloseTo(1, 9);
    }),
  );
});

test.each<[Partial<Config>, RegExp]>([
  [{ warmup_steps: 1001 }, /^--warmup-steps is 1001, but --steps is 1000: .* lower --warmup-steps/],
  [
    { warmup_steps: 801, lr_schedule: "wsd" },
    /^--warmup-steps is 801, but with --lr-schedule wsd and --decay-fraction 0.2 .* last 200 of 1000/,
  ],
  [{ decay_fraction: 0 }, /^--decay-fraction is 0; it must be a number above 0 and at most 1\.$/],
  [{ final_lr_fraction: 1.5 }, /^--final-lr-fraction is 1.5; it must be a number of at least 0/],
  [{ muon_momentum: 1 }, /^--muon-momentum is 1; it must be a number of at least 0 and below 1\.$/],
  [{ grad_accumulation: 0 }, /^--grad-accumulation is 0; it must be a whole number/],
])("what cannot be is a sentence that names the flags: %j", (overrides, sentence) => {
  const labels = {
    warmup_steps: "--warmup-steps",
    num_steps: "--steps",
    lr_schedule: "--lr-schedule",
    decay_fraction: "--decay-fraction",
    final_lr_fraction: "--final-lr-fraction",
    muon_momentum: "--muon-momentum",
    grad_accumulation: "--grad-accumulation",
  };
  const resolve = () => resolveConfig("microgpt", overrides, labels);
  expect(resolve).toThrow(ConfigError);
  expect(resolve).toThrow(sentence);
});

test("a warm-up as long as the run, or up to where wsd begins to fall, can be", () => {
  expect(rates({ warmup_steps: 10 }).at(-1)).toBe(1);
  for (const decay_fraction of [0.9, 0.7, 0.55, 0.29]) {
    const warmup_steps = Math.round(100 * (1 - decay_fraction));
    const found = rates({ lr_schedule: "wsd", num_steps: 100, warmup_steps, decay_fraction });
    expect(Math.max(...found)).toBe(1);
  }
});
