// A run as the page sees it: what its reports add up to.

import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveConfig } from "../../src/config.ts";
import type { StartEvent, StepEvent } from "../../src/training/train.ts";
import type { Report, Request } from "../../web/protocol.ts";
import { Run } from "../../web/run.ts";

let worker: { onmessage(event: { data: Report }): void };
let asked: Request[] = [];

beforeAll(() => {
  const fake = class {
    constructor() {
      worker = this as unknown as typeof worker;
    }
    postMessage(request: Request): void {
      asked.push(request);
    }
    terminate(): void {}
  };
  Object.assign(globalThis, { Worker: fake });
});

afterAll(() => {
  Reflect.deleteProperty(globalThis, "Worker");
});

const step = (step: number): StepEvent => ({
  type: "step",
  step,
  loss: 1,
  lr: 0.1,
  grad_norm: 1,
  tokens: 10 * step,
});

test("compiling has no part in speed and time left: the clock starts after the first step", () => {
  const config = resolveConfig("microgpt", { num_steps: 100 });
  const run = new Run({ changed: () => {}, saved: () => {}, trained: () => {} });
  run.begin("a", config, { name: "names.txt", documents: ["anna"] }, "cpu");
  const take = (data: Report) => worker.onmessage({ data });
  take({ type: "prepare", what: "compile", done: 3, total: 7 });
  expect(run.prepare).toMatchObject({ done: 3, total: 7 });
  expect(run.speed()).toBe(null);
  take({ type: "steps", steps: [step(1)], train_ms: 0 });
  expect(run.speed()).toBe(null);
  take({ type: "steps", steps: [step(2), step(3)], train_ms: 1000 });
  // 20 tokens in a second, and 97 steps at two a second.
  expect(run.speed()).toEqual({ tokensPerSecond: 20, secondsLeft: 48.5 });
});

test("a run is saved until there is a model, whose place it would take", () => {
  asked = [];
  const kept: string[] = [];
  const run = new Run({
    changed: () => {},
    saved: ({ step }) => kept.push(`run ${step}`),
    trained: ({ step }) => kept.push(`model ${step}`),
  });
  const config = resolveConfig("microgpt", { num_steps: 2 });
  run.begin("a", config, { name: "names.txt", documents: ["anna"] }, "cpu");
  const take = (data: Report) => worker.onmessage({ data });
  take({ type: "start", vocab_size: 4, num_params: 10, resumed_from: null } as StartEvent);
  take({ type: "steps", steps: [step(1)], train_ms: 0 });
  run.save();
  take({ type: "saved", step: 1, config, file: new Blob() });
  take({ type: "steps", steps: [step(2)], train_ms: 0 });
  take({ type: "trained", step: 2, config, file: new Blob() });
  run.save();
  expect(asked.map(({ type }) => type)).toEqual(["start", "save"]);
  expect(kept).toEqual(["run 1", "model 2"]);
});
