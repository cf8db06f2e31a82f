// What holds of the optimizer for all settings: the schedule, Adam's corrections, the scale, steps that are skipped.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { biasCorrections, learningRate } from "../src/model/optimizer.ts";
import { adamw, stepRecord } from "../src/reference/ops.ts";

const schedules = fc.constantFrom<Config["lr_schedule"]>("linear", "cosine", "constant");
const betas = fc.double({ min: 0, max: 0.9999, noNaN: true });

test("the learning rate starts at its peak, never rises and never falls below 0", () => {
  const steps = fc.integer({ min: 1, max: 1e9 });
  const peak = fc.double({ min: 1e-6, max: 10, noNaN: true });
  fc.assert(
    fc.property(schedules, steps, peak, fc.nat(1e9), (lr_schedule, num_steps, peak, at) => {
      const config = resolveConfig("microgpt", { lr_schedule, num_steps, learning_rate: peak });
      const step = at % num_steps;
      expect(learningRate(config, 0)).toBe(peak);
      const [now, next] = [learningRate(config, step), learningRate(config, step + 1)];
      expect(next).toBeLessThanOrEqual(now);
      expect(now).toBeGreaterThanOrEqual(0);
      expect(Math.abs(learningRate(config, num_steps))).toBe(lr_schedule === "constant" ? peak : 0);
    }),
  );
});

test("of a gradient that stays the same the corrected moments are the gradient and its square", () => {
  const gradient = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
  fc.assert(
    fc.property(betas, betas, gradient, fc.integer({ min: 1, max: 50 }), (beta1, beta2, g, t) => {
      const [params, m, v] = [Float64Array.of(0), Float64Array.of(0), Float64Array.of(0)];
      const settings = { beta1, beta2, epsilon: 1e-30, weight_decay: 0, clip: 1, size: 1, lr: 1 };
      for (let step = 0; step < t; step++) {
        const corrections = biasCorrections({ ...resolveConfig("microgpt"), beta1, beta2 }, step);
        adamw(params, m, v, Float64Array.of(g), { ...settings, ...corrections });
        expect((m[0] * corrections.correction1) / g).toBeCloseTo(1, 6);
        expect((v[0] * corrections.correction2) / g ** 2).toBeCloseTo(1, 6);
      }
      expect(params[0]).toBeCloseTo(-t, 4); // each update is the learning rate
    }),
  );
});

test("whatever steps are skipped, the others are what they would be without them", () => {
  const step = fc.record({
    g: fc.double({ min: -5, max: 5, noNaN: true }),
    overflows: fc.boolean(),
  });
  const growth = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      betas,
      betas,
      growth,
      (steps, beta1, beta2, growth) => {
        const run = (list: typeof steps) => {
          const [params, m, v] = [Float64Array.of(1), Float64Array.of(0), Float64Array.of(0)];
          const scaler = Float64Array.of(8, 0, 0, 0, 0);
          list.forEach(({ g, overflows }, k) => {
            const partials = Float64Array.of(overflows ? Infinity : g * g);
            const sizes = { N: 1, stride: 1, scale: 1, growth, largest: 32, step: k + 1 };
            stepRecord(new Float64Array(2), scaler, Float64Array.of(1), partials, {
              ...sizes,
              beta1,
              beta2,
            });
            const [scale, good, , correction1, correction2] = scaler;
            expect([1, 2, 4, 8, 16, 32]).toContain(scale);
            expect(good).toBeLessThan(growth);
            if (overflows) return;
            const settings = { beta1, beta2, epsilon: 1e-8, weight_decay: 0.1, clip: 1, lr: 0.1 };
            adamw(params, m, v, Float64Array.of(g), {
              ...settings,
              size: 1,
              correction1,
              correction2,
            });
          });
          return { params, m, v, skipped: scaler[2] };
        };
        const all = run(steps);
        const good = steps.filter(({ overflows }) => !overflows);
        expect(all).toEqual({ ...run(good), skipped: steps.length - good.length });
      },
    ),
  );
});
