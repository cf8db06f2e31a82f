// What people see while a run is made ready and trains: on a terminal of any width, and in a file.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { prepareProgress, Progress } from "../../cli/progress.ts";
import { deviceLine } from "../../cli/train_report.ts";
import type { StepEvent } from "../../src/training/train.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function sink(isTTY: boolean, columns?: number) {
  const out = {
    text: "",
    isTTY,
    columns,
    write: (part: string) => (out.text += part.replaceAll("\x1b[K", "")),
  };
  return out;
}

const event = (step: number, tokens = step * 10): StepEvent => ({
  type: "step",
  step,
  loss: 2,
  lr: 0,
  grad_norm: 0,
  tokens,
});

/** The lines that a terminal shows in the end: of what is written over, the last. */
const shown = (text: string) => text.split("\n").map((line) => line.split("\r").at(-1)!);

describe("speed and time left", () => {
  test("count from the first step on, not from what came before", () => {
    const out = sink(false);
    const progress = new Progress(out, 101, 50);
    vi.advanceTimersByTime(60_000); // compiles
    progress.step(event(1));
    for (let step = 2; step <= 50; step++) {
      vi.advanceTimersByTime(100);
      progress.step(event(step));
    }
    expect(out.text).toBe(
      "step   1/101  loss 2.0000  avg 2.0000\n" +
        "step  50/101  loss 2.0000  avg 2.0000  100 tokens/s  5.1 s left\n",
    );
  });

  test("are those of the steps since a run was resumed", () => {
    const out = sink(false);
    const progress = new Progress(out, 1000, 2, { step: 900, tokens: 1e12 });
    progress.step(event(901, 1e12 + 10));
    vi.advanceTimersByTime(1000);
    progress.step(event(902, 1e12 + 20));
    expect(out.text).toMatch(/^step {2}902\/1000 {2}.* {2}10 tokens\/s {2}1:38 min left$/m);
  });
});

describe("a terminal", () => {
  test("keeps a line of every log_every steps, and writes the live one over", () => {
    const out = sink(true, 80);
    const progress = new Progress(out, 100, 10);
    for (let step = 1; step <= 25; step++) {
      progress.step(event(step));
      vi.advanceTimersByTime(150);
    }
    const steps = (line: string) => /step +(\d+)/.exec(line)?.[1];
    expect(shown(out.text).map(steps)).toEqual(["10", "20", "25"]);
    expect(out.text.split("\r").length).toBeGreaterThan(20);
    progress.end();
    expect(shown(out.text).map(steps)).toEqual(["10", "20", "25", undefined]);
  });

  test("shows a note below the line of the step that it belongs to, once", () => {
    const out = sink(true, 80);
    const progress = new Progress(out, 100, 10);
    for (let step = 1; step <= 10; step++) progress.step(event(step));
    progress.note("step 10  val loss 1.0000");
    progress.step(event(11));
    progress.note("saved");
    progress.end();
    expect(shown(out.text).map((line) => line.slice(0, 16).trim())).toEqual([
      "step  10/100  lo",
      "step 10  val los",
      "step  11/100  lo",
      "saved",
      "",
    ]);
  });

  test.each([32, 40, 50, 70, 80])("of %i columns shows the step and the time left", (columns) => {
    const out = sink(true, columns);
    const progress = new Progress(out, 100_000, 1000);
    progress.step(event(1));
    vi.advanceTimersByTime(100);
    progress.step(event(9000, 9_000_000));
    const line = shown(out.text)[0];
    expect(line).toMatch(/^step {3}9000\/100000\b.* {2}1\.0 s left$/);
    expect(line.length).toBeLessThan(columns);
    expect(line.includes("tokens/s")).toBe(columns >= 70);
    expect(line.includes("loss")).toBe(columns >= 50);
  });
});

describe("what comes before the first step", () => {
  const told = (isTTY: boolean, what: "compile" | "measure", ms: number) => {
    const out = sink(isTTY);
    const progress = prepareProgress(out);
    for (const done of [0, 1, 2]) {
      progress({ type: "prepare", what, done, total: 2 });
      vi.advanceTimersByTime(ms);
    }
    return out.text;
  };

  test("is counted on a terminal, and wiped away", () => {
    expect(told(true, "compile", 1).split("\r")).toEqual([
      "",
      "compiling 1 of 2",
      "compiling 2 of 2",
      "",
    ]);
    expect(told(true, "measure", 1)).toContain(
      "\rmeasuring 2 of 2, for the kernels that are fastest here\r",
    );
  });

  test("is told once in a file: measuring always, compiling where it takes long", () => {
    expect(told(false, "measure", 1)).toBe(
      "measuring 2 shapes, for the kernels that are fastest here\n",
    );
    expect(told(false, "compile", 900)).toBe("");
    expect(told(false, "compile", 1100)).toBe("compiling 2 kernels\n");
  });
});

test("the header's line of the device says what auto weighed", () => {
  const line = { device: "cpu", adapter: null, fallback: null, device_reason: null } as const;
  expect(deviceLine(line)).toBe("device  CPU, in float64");
  expect(deviceLine({ ...line, device_reason: "about 1 s" })).toBe(
    "device  CPU, in float64 (auto: about 1 s)",
  );
  expect(deviceLine({ ...line, fallback: "There is none." })).toMatch(/\(auto: There is none\.\)$/);
  const gpu = { ...line, device: "webgpu", adapter: "Acme", device_reason: "about 9 s" } as const;
  expect(deviceLine(gpu)).toBe("device  WebGPU: Acme (auto: about 9 s)");
});
