// metrics.jsonl: every step and validation once, cut back to where a run goes on, and no disk that ends a run.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Metrics, METRICS_FILE } from "../../cli/metrics.ts";
import { main as train } from "../../cli/train.ts";
import type { EvalEvent, StepEvent } from "../../src/training/train.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const stepOf = (step: number, loss = 1 / step): StepEvent => ({
  type: "step",
  step,
  loss,
  lr: 0.01,
  grad_norm: 2,
  tokens: 7 * step,
});
const evalOf = (step: number): EvalEvent => ({
  type: "eval",
  step,
  val_loss: 3,
  bits_per_byte: 4,
  best: false,
});

const read = (folder: string) => readFileSync(join(folder, METRICS_FILE), "utf8");
const silent = () => {
  throw new Error("Nothing should be told.");
};

test("holds what --json tells of every step and validation, floats in full", async () => {
  const output = temporaryFolder();
  const argv = ["--device", "cpu", "--steps", "7", "--num-samples", "1", "--val-fraction", "0.5"];
  const more = ["--eval-every", "3", "--json", "--log-every", "1", "--output", output];
  const { stdout } = await runCli(train, [...argv, ...more]);
  const told = parseLines(stdout).filter(({ type }) => type === "step" || type === "eval");
  expect(told).toHaveLength(10);
  expect(parseLines(read(output))).toEqual(told);
});

test("are there again after the last save, where their folder was removed", async () => {
  const output = join(temporaryFolder(), "o");
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    if (text.includes(`"step":6,`)) rmSync(output, { recursive: true, force: true });
  };
  const argv = ["--device", "cpu", "--steps", "7", "--num-samples", "1", "--log-every", "1"];
  await runCli(train, [...argv, "--json", "--output", output], {}, io);
  expect(parseLines(read(output)).at(-1)).toMatchObject({ type: "step", step: 7 });
});

describe("where a run goes on", () => {
  test("no line of a later step stays, and none of before is lost, wherever the file was cut", () => {
    const folder = temporaryFolder();
    const events = Array.from({ length: 300 }, (_, i) => i + 1).flatMap((step) =>
      step % 50 === 0 ? [stepOf(step), evalOf(step)] : [stepOf(step)],
    );
    const lines = events.map((event) => `${JSON.stringify(event)}\n`);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 250 }),
        fc.boolean(),
        fc.nat(lines.join("").length),
        (step, validated, cut) => {
          const before = events.filter(
            (event) =>
              event.step < step || (event.step === step && (event.type === "step" || validated)),
          ).length;
          const whole = lines.slice(0, before).join("");
          const text = lines.join("");
          writeFileSync(join(folder, METRICS_FILE), text.slice(0, Math.max(whole.length, cut)));
          const metrics = new Metrics(folder, { step, validated }, silent);
          expect(read(folder)).toBe(whole);
          metrics.add(stepOf(step + 1));
          metrics.write();
          expect(read(folder)).toBe(whole + lines[events.findIndex((e) => e.step === step + 1)]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("a file of which nothing is of the run, or that is not there, begins anew", () => {
    for (const text of ["", "\n", "\n\n", "x", "{}\n", '{"step":9}\n', undefined]) {
      const folder = temporaryFolder();
      if (text !== undefined) writeFileSync(join(folder, METRICS_FILE), text);
      const metrics = new Metrics(folder, { step: 4, validated: true }, silent);
      metrics.add(stepOf(5));
      metrics.write();
      expect(parseLines(read(folder))).toEqual([stepOf(5)]);
    }
  });
});

test("is written now and then, a new file where it was removed", () => {
  const folder = temporaryFolder();
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  const metrics = new Metrics(folder, undefined, silent);
  metrics.add(stepOf(1));
  clock.mockReturnValue(1100);
  metrics.add(stepOf(2));
  expect(parseLines(read(folder))).toEqual([stepOf(1), stepOf(2)]);
  rmSync(join(folder, METRICS_FILE));
  metrics.add(stepOf(3));
  metrics.write();
  expect(parseLines(read(folder))).toEqual([stepOf(3)]);
  clock.mockRestore();
});

test("what refuses it is told once, and what it lacks is written as soon as it can be", () => {
  const folder = temporaryFolder();
  const path = join(folder, METRICS_FILE);
  const told: string[] = [];
  const metrics = new Metrics(folder, undefined, (text) => told.push(text));
  mkdirSync(path); // in its place
  for (const step of [1, 2, 3]) {
    metrics.add(stepOf(step));
    metrics.write();
  }
  expect(told).toEqual([`${path} cannot be written: it is a folder (EISDIR).`]);
  rmSync(path, { recursive: true });
  metrics.add(stepOf(4));
  metrics.write();
  expect(parseLines(read(folder))).toEqual([1, 2, 3, 4].map((step) => stepOf(step)));
  rmSync(folder, { recursive: true });
  metrics.add(stepOf(5));
  metrics.write();
  expect(told).toHaveLength(2);
  // Not without end: a disk that stays full is not made up for by main memory.
  const line = JSON.stringify(stepOf(6)).length;
  for (let i = 0; i < 2 ** 22 / line + 10; i++) metrics.add(stepOf(6));
  metrics.write();
  mkdirSync(folder);
  metrics.add(stepOf(7));
  metrics.write();
  expect(parseLines(read(folder))).toEqual([stepOf(7)]);
});
