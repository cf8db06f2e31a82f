// The pace on a clock that is told what time it is: devices with all kinds of steps, and of ways to tell of them.

import { afterEach, describe, expect, test, vi } from "vitest";
import { Pace } from "../src/device/pace.ts";
import { WINDOWS } from "../src/device/windows.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

interface Simulated {
  /** Of a step, in ms. */
  work: number;
  /** From the end of a window until it is told. */
  latency?: number;
  /** Told at the next multiple of this. */
  poll?: number;
  /** Of a step, as part of `work`, by turns more and less. */
  noise?: number;
  largest?: number;
  /** In ms; by then it has settled. */
  duration?: number;
}

/** Windows on their way as Windows has them; the second half of the time counts. */
function simulate(device: Simulated) {
  const { work, latency = 0, poll = 0, noise = 0, largest = 2 ** 20, duration = 20_000 } = device;
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const pace = new Pace(largest);
  const flights: { steps: number; told: number }[] = [];
  const sizes: number[] = [];
  let [free, turn, steps, halftime] = [0, 0, 0, 0];
  pace.start();
  for (let windows = 0; now < duration && windows < 100_000; windows++) {
    while (flights.length < WINDOWS) {
      const ms = pace.windowSize * work * (1 + noise * Math.sin(turn++ * 2.4));
      free = Math.max(free, now) + ms;
      const told = poll > 0 ? Math.ceil(free / poll) * poll : free + latency;
      flights.push({ steps: pace.windowSize, told });
    }
    const window = flights.shift()!;
    now = Math.max(now, window.told);
    pace.done(window.steps);
    if (now < duration / 2) halftime = now;
    else {
      steps += window.steps;
      sizes.push(window.steps);
    }
  }
  // Now and then another size is tried.
  const sorted = sizes.toSorted((a, b) => a - b);
  const [least, most] = [0.1, 0.9].map((part) => sorted[Math.floor(part * sorted.length)] * work);
  return { stepMs: (now - halftime) / steps, sizes, least, most };
}

const works = [0.003, 0.05, 0.4, 3, 11, 40, 170, 2000];

describe.each([{}, { noise: 0.3 }])("steps of every length, %o", (noise) => {
  test.each(works)(
    "%d ms a step: told at once, windows are of 15 to 60 ms, or of one step",
    (work) => {
      const { stepMs, least, most } = simulate({ work, latency: 0.2, ...noise });
      expect(stepMs).toBeLessThan(work * 1.05);
      expect(most).toBeLessThan(Math.max(61, work * 1.01) * 1.3);
      expect(least).toBeGreaterThan(7);
    },
  );

  test.each(works.flatMap((work) => [11, 30, 100, 150].map((latency) => [work, latency])))(
    "%d ms a step, %d ms until it is told: no more than a third is lost",
    (work, latency) => {
      const { stepMs, most } = simulate({ work, latency, ...noise });
      expect(stepMs).toBeLessThan(work * 1.5);
      const allowed = Math.max(61, 4 * latency, 2 * work);
      expect(most).toBeLessThan(allowed * 1.3);
    },
  );

  test.each(works)("%d ms a step, told at every 100 ms: no more than a half is lost", (work) => {
    const { stepMs } = simulate({ work, poll: 100, ...noise });
    expect(stepMs).toBeLessThan(Math.max(work * 2, work + 100 / WINDOWS));
    expect(stepMs).toBeLessThan(work < 60 ? work * 1.7 : Infinity);
  });
});

test("a window has no more steps than there is room for", () => {
  expect(Math.max(...simulate({ work: 0.01, largest: 48 }).sizes)).toBe(48);
});

test("a first window that compiles, and a pause, do not shrink what comes after", () => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const pace = new Pace(1024);
  const run = (ms: number, windows: number) => {
    for (let k = 0; k < windows; k++) {
      const steps = pace.windowSize;
      now += ms * steps;
      pace.done(steps);
    }
  };
  pace.start();
  run(5000, 1);
  run(1, 30);
  const { windowSize } = pace;
  expect(windowSize).toBeGreaterThanOrEqual(15);
  now += 60_000;
  pace.start();
  run(1, 1);
  expect(pace.windowSize).toBe(windowSize);
});

test("what grew too large for a device that became slower shrinks again", () => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const pace = new Pace(1024);
  pace.start();
  const run = (ms: number, windows: number) => {
    for (let k = 0; k < windows; k++) {
      const steps = pace.windowSize;
      now += ms * steps;
      pace.done(steps);
    }
  };
  run(0.5, 60);
  expect(pace.windowSize).toBeGreaterThan(16);
  run(20, 60);
  expect(pace.windowSize * 20).toBeLessThanOrEqual(80);
});
