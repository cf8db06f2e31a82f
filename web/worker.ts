// The worker: trains with the engine of src/, as Node does, or writes with a model that is trained, and posts what
// happens.

import { ConfigError, DataError, ModelFileError, UserError } from "../src/errors.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../src/files/checkpoint.ts";
import { decodeModelFile, encodeModel, type ModelFile } from "../src/files/model_files.ts";
import { Generator, type SamplingOptions } from "../src/generation/from_model.ts";
import { type StepEvent, Training } from "../src/training/train.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { excerpts, inTokens } from "./excerpts.ts";
import { Desk } from "./desk.ts";
import type { OpenRequest, Report, Request, StartRequest } from "./protocol.ts";
import { write } from "./write.ts";

/** Steps are posted together, this often: a small model makes thousands a second. */
const REPORT_MS = 50;
/** A look at what the model writes is due this often, or at every tenth of the steps… */
const LOOK_MS = 1000;
const LOOK_SAMPLES = 5;
/** …takes at most about this part of the time, and is given up after that long. */
const LOOK_SHARE = 0.2;
const LOOK_LIMIT_MS = 2000;

const desk = new Desk();
const channel = new MessageChannel();

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.type === "start") train(data).catch(fail);
  else if (data.type === "open") open(data).catch(fail);
  else desk.take(data);
});

async function train({ config, documents, device, temperature, resume }: StartRequest) {
  desk.temperature = temperature;
  const before = resume ? decodeCheckpoint(await bytesOf(resume), "The kept run") : undefined;
  const training = await Training.open({
    config: before?.config ?? config,
    documents,
    device,
    progress: post,
    ...(before ? { resume: before } : {}),
  });
  post(training.start);
  const { tokenizer } = training;
  if (!(tokenizer instanceof CharTokenizer)) {
    post({ type: "tokens", texts: inTokens(excerpts(documents), tokenizer) });
  }
  const { num_steps } = training.start.config;

  let steps: StepEvent[] = [];
  let train_ms = 0;
  let lastReport = performance.now();
  const report = () => {
    if (steps.length > 0) post({ type: "steps", steps, train_ms });
    steps = [];
    lastReport = performance.now();
  };
  const save = async () => {
    report();
    try {
      const checkpoint = await training.checkpoint();
      const file = blobOf(encodeCheckpoint(checkpoint));
      post({ type: "saved", step: checkpoint.step, config: checkpoint.config, file });
    } catch (error) {
      post({ type: "unsaved", message: sentence(error) });
    }
  };
  const author = {
    model: { config: training.start.config, tokenizer: training.tokenizer },
    write: (options: SamplingOptions) => training.write(options),
  };
  const writer = { write: write(author, post, () => ({ step: training.step, fallback: null })) };
  const clerk = { ...writer, save };

  await look(training);
  let lookCost = 0; // the first look also compiled the shaders
  let lastLook = performance.now();
  let nextTenth = training.step + num_steps / 10;
  let lastStep = NaN; // the first step may have to compile, and is not counted

  for await (const event of training.run()) {
    if (event.type === "look") continue; // the page has looks of its own
    if (event.type === "save") {
      if (isSecureContext) await save(); // where not, there is nothing to tell its text by
      lastStep = performance.now();
      continue;
    }
    if (event.type === "eval" || event.type === "stop") {
      report();
      post(event);
      await nextTask();
      await desk.attend(clerk);
      lastStep = performance.now();
      continue;
    }
    if (!Number.isNaN(lastStep)) train_ms += performance.now() - lastStep;
    steps.push(event);
    if (performance.now() - lastReport > REPORT_MS) report();

    const sinceLook = performance.now() - lastLook;
    const due = sinceLook > LOOK_MS || event.step >= nextTenth;
    const wanted = desk.tellChange() || (due && sinceLook > lookCost / LOOK_SHARE);
    if (wanted && event.step < num_steps) {
      report();
      lookCost = await look(training);
      lastLook = performance.now();
      nextTenth = event.step + num_steps / 10;
    }
    if (desk.busy) {
      report();
      await desk.attend(clerk);
    }
    lastStep = performance.now();
  }
  report();

  // Before the samples, which can be had again.
  const [file] = encodeModel(await training.model());
  post({ type: "trained", step: training.step, config: training.start.config, file: blobOf(file) });
  for await (const event of training.write({ temperature: desk.temperature })) {
    if (event.type !== "sample") continue;
    post({ type: "sample", step: training.step, text: event.text, final: true });
    await nextTask();
    await desk.attend(writer); // a run that was saved now would take the model's place
  }
  post({ type: "done" });
  await desk.attend(writer, true);
}

/** Writes with a model that is trained; the device is readied for the first text. */
async function open({ model: file, name, device }: OpenRequest): Promise<void> {
  const model = decodeModelFile(await bytesOf(file), name);
  let generator: Generator | undefined;
  const author = {
    model,
    async *write(options: SamplingOptions) {
      generator ??= await Generator.open(model, device, post);
      yield* generator.write(options);
    },
  };
  const place = () => ({ step: model.step, fallback: generator?.fallback ?? null });
  await desk.attend({ write: write(author, post, place) }, true);
}

/** Posts a few texts from the model as it is; returns what that cost, in ms. */
async function look(training: Training): Promise<number> {
  const start = performance.now();
  const { step } = training;
  desk.tellChange();
  const texts = training.write({
    num_samples: LOOK_SAMPLES,
    temperature: desk.temperature,
    seed: training.start.config.seed + step,
    signal: AbortSignal.timeout(LOOK_LIMIT_MS),
  });
  for await (const event of texts) {
    if (event.type !== "sample") continue;
    post({ type: "sample", step, text: event.text, final: false });
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

async function bytesOf(file: Blob): Promise<Uint8Array> {
  return new Uint8Array(
    await file.arrayBuffer().catch(() => {
      throw new ModelFileError("The kept file can no longer be read.");
    }),
  );
}

const blobOf = ({ pieces }: ModelFile) => new Blob([...pieces] as BlobPart[]);

function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UserError) return message;
  return `The training stopped at an error that nobody foresaw: ${message}`;
}

function fail(error: unknown): void {
  const setting = error instanceof ConfigError ? error.setting : null;
  const damaged = error instanceof ModelFileError || error instanceof DataError;
  post({ type: "failed", message: sentence(error), setting, damaged });
}

function post(report: Report): void {
  postMessage(report);
}
