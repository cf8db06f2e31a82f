// The worker: trains with the engine of src/, as Node does, and posts what happens.

import { ConfigError, UserError } from "../src/errors.ts";
import { Training, type StepEvent } from "../src/training/train.ts";
import type { Report, Request } from "./protocol.ts";

/** Steps are posted together, this often: a small model makes thousands a second. */
const REPORT_MS = 50;
/** A look at what the model writes is due this often, or at every tenth of the steps… */
const LOOK_MS = 1000;
const LOOK_SAMPLES = 5;
/** …takes at most about this part of the time, and is given up after that long. */
const LOOK_SHARE = 0.2;
const LOOK_LIMIT_MS = 2000;

/** Pending while the run is paused: then no further step and no further sample is pulled. */
let pause: Promise<void> | undefined;
let endPause = () => {};

const channel = new MessageChannel();

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.type === "start") {
    run(data).catch(fail);
  } else if (data.type === "pause") {
    pause = new Promise((resolve) => (endPause = resolve));
  } else {
    pause = undefined;
    endPause();
  }
});

async function run({ config, documents, device }: Extract<Request, { type: "start" }>) {
  const training = await Training.open({ config, documents, device });
  post(training.start);

  let steps: StepEvent[] = [];
  let train_ms = 0;
  let lastReport = performance.now();
  const report = () => {
    if (steps.length > 0) post({ type: "steps", steps, train_ms });
    steps = [];
    lastReport = performance.now();
  };

  await look(training);
  let lookCost = 0; // the first look also compiled the shaders
  let lastLook = performance.now();
  let nextTenth = config.num_steps / 10;
  let lastStep = performance.now();

  for await (const event of training.run()) {
    if (event.type === "save") continue; // the page saves nothing
    if (event.type === "eval") {
      report();
      post(event);
      await nextTask();
      await pause;
      lastStep = performance.now();
      continue;
    }
    train_ms += performance.now() - lastStep;
    steps.push(event);
    if (performance.now() - lastReport > REPORT_MS) report();

    const sinceLook = performance.now() - lastLook;
    const due = sinceLook > LOOK_MS || event.step >= nextTenth;
    if (due && sinceLook > lookCost / LOOK_SHARE && event.step < config.num_steps) {
      report();
      lookCost = await look(training);
      lastLook = performance.now();
      nextTenth = event.step + config.num_steps / 10;
    }
    if (pause) {
      report();
      await pause;
    }
    lastStep = performance.now();
  }
  report();

  for await (const { text } of training.samples()) {
    post({ type: "sample", step: training.step, text, final: true });
    await nextTask();
    await pause;
  }
  training.close();
  post({ type: "done" });
}

/** Posts a few texts from the model as it is; returns what that cost, in ms. */
async function look(training: Training): Promise<number> {
  const start = performance.now();
  const { step } = training;
  for await (const { text } of training.preview(LOOK_SAMPLES, AbortSignal.timeout(LOOK_LIMIT_MS))) {
    post({ type: "sample", step, text, final: false });
    await nextTask();
  }
  return performance.now() - start;
}

/** Lets the page's messages in; a channel, because a timer may take 4 ms. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(null);
  });
}

function fail(error: unknown): void {
  let message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof UserError)) {
    message = `The training stopped at an error that nobody foresaw: ${message}`;
  }
  const setting = error instanceof ConfigError ? error.setting : null;
  post({ type: "failed", message, setting });
}

function post(report: Report): void {
  postMessage(report);
}
