// The loss curve's points: few, in order, and still the whole run.

import { expect, test } from "vitest";
import { LossHistory } from "../../web/history.ts";

test("a short history keeps every step", () => {
  const history = new LossHistory(1);
  for (let step = 1; step <= 1000; step++) history.push(step, 1 / step);
  expect(history.steps).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
  expect(history.losses).toEqual(history.steps.map((step) => 1 / step));
});

test("a long history keeps means of neighbours, up to the last step", () => {
  const history = new LossHistory(1);
  for (let step = 1; step <= 12_345; step++) history.push(step, step);
  expect(history.steps.length).toBeGreaterThan(500);
  expect(history.steps.length).toBeLessThanOrEqual(1000);
  expect(history.steps.at(-1)).toBe(12_345);
  // Sixteen steps a point: the mean of 1..16 is 8.5.
  expect(history.steps[0]).toBe(16);
  expect(history.losses[0]).toBe(8.5);
  expect(history.losses[1]).toBe(24.5);
});

test("a validation stands at the point that holds its step, however the points are merged", () => {
  const history = new LossHistory(1);
  expect(history.validation).toBeNaN();
  for (let step = 1; step <= 3000; step++) {
    history.push(step, step);
    if (step % 1000 === 0) history.validate(step, step / 1000);
  }
  const points = history.validations();
  expect(points).toHaveLength(history.steps.length);
  for (const [i, loss] of points.entries()) {
    if (loss === null) continue;
    expect(history.steps[i]).toBeGreaterThanOrEqual(1000 * loss);
    expect(history.steps[i - 1]).toBeLessThan(1000 * loss);
  }
  expect(points.filter((loss) => loss !== null)).toEqual([1, 2, 3]);
  expect(history.validation).toBe(3);
});

test("the running mean starts at the first loss and follows", () => {
  const history = new LossHistory(10);
  expect(history.mean).toBeNaN();
  history.push(1, 3);
  expect(history.mean).toBeCloseTo(3, 12);
  for (let step = 2; step <= 200; step++) history.push(step, 2);
  expect(history.mean).toBeCloseTo(2, 6);
});
