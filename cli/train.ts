// Trains a model, saves it, and shows what it writes.
//
//   npm run train -- --input names.txt --output output --steps 1000
//   npm run train -- --output output --resume

import { isHalf } from "../src/choices.ts";
import { type Config, wholeStep } from "../src/config.ts";
import { settings } from "../src/config/settings.ts";
import type { Checkpoint } from "../src/files/checkpoint.ts";
import { checkSame, resumedConfig } from "../src/training/resume.ts";
import { Training } from "../src/training/train.ts";
import { tuningModes } from "../src/tuning/tune.ts";
import { ModelFileError } from "../src/errors.ts";
import { command } from "./command.ts";
import { examine } from "./earlier.ts";
import { askedIn, readText } from "./files.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import { Interrupt } from "./interrupt.ts";
import { Keeper } from "./keeper.ts";
import { loadCheckpoint, loadModel } from "../src/files/model_dir.node.ts";
import * as options from "./options.ts";
import { promptOf } from "./prompt.ts";
import { type Io, run } from "./run.ts";
import { RunFolder } from "./run_folder.ts";
import { tokenizerOf } from "./tokenizer_file.ts";
import { shellQuote } from "../src/shell_quote.ts";
import { count } from "../src/count.ts";
import { type Before, NOTHING, prepareProgress } from "./progress.ts";
import { type EndEvent, humanReport, jsonReport, type TrainReport } from "./train_report.ts";

const description = {
  name: "train",
  summary:
    "Trains a GPT on any text, by lines, paragraphs or records or as one text, saves it and prints samples.",
  options: [
    ...options.text,
    options.output,
    options.resume,
    options.initFrom,
    options.overwrite,
    options.device,
    options.preset,
    options.size,
    options.configFile,
    options.chat,
    options.tuning,
    options.tensorboard,
    options.prompt,
    options.promptFile,
    ...options.settingOptions(),
  ],
};

export const main = command(description, (flags, io) =>
  Interrupt.during(io, (interrupt) => trainAll(flags, io, interrupt)),
);

async function trainAll(flags: Flags, io: Io, interrupt: Interrupt): Promise<number> {
  const path = flags.text(options.output);
  const [resumes, replaces] = [flags.has(options.resume), flags.has(options.overwrite)];
  if (resumes && replaces) {
    throw new UsageError(
      `--overwrite begins a new run, and --resume goes on with one; give one of them.`,
    );
  }
  const source = flags.text(options.initFrom);
  if (resumes && source !== undefined) {
    throw new UsageError(
      `--init-from begins a new run from a model, and --resume goes on with a run; give one of them.`,
    );
  }
  const before = resumes ? loadCheckpoint(path) : undefined;
  const initFrom = source === undefined ? undefined : loadModel(source);
  const done = before ? { step: before.step, tokens: before.tokens } : NOTHING;
  const config = before ? goOn(before, flags) : flags.newRun({}, initFrom);
  const device = flags.choice(options.device, options.devices);
  const mode = flags.choice(options.tuning, tuningModes);
  const prompt = promptOf(flags);
  const asked = await askedIn(flags);
  const inputs = asked.inputs.length > 0 ? asked.inputs : (before?.input ?? []);
  const tokenizer = tokenizerOf(flags);
  const { signal } = interrupt;
  const { corpus, found } = await readText({ ...asked, inputs, signal }, io, config);
  const { format } = corpus;
  if (!before) flags.newRun({ format }, initFrom); // what it decides may be in conflict

  const folder = await RunFolder.open(path, resumes ? "resume" : replaces ? "replace" : "keep");
  try {
    if (before) checkUnchanged(path, before);
    const tuning = { mode, signal };
    const training = await Training.open({
      config,
      documents: corpus,
      device,
      tuning,
      tokenizer,
      progress: prepareProgress(io.stderr),
      input: inputs.length > 0 ? inputs : null,
      prompt,
      resume: before,
      initFrom,
    });
    const report = flags.has(options.json)
      ? jsonReport(io.stdout, config.log_every)
      : humanReport(io.stdout, found, done);
    try {
      const keeper = new Keeper(
        training,
        folder,
        io.stderr,
        before,
        flags.has(options.tensorboard),
      );
      await train(training, report, folder, interrupt, keeper, done);
    } finally {
      training.close();
    }
    return interrupt.code;
  } finally {
    folder.close();
  }
}

/** @throws ModelFileError if another process has gone on with the run, while its text was read here */
function checkUnchanged(path: string, { step }: Checkpoint): void {
  const now = examine(path).run?.step;
  if (now === step) return;
  throw new ModelFileError(
    `The run in ${path} was at step ${count(step)} when it was read, and has gone on since, to step ${count(now ?? 0)}. ` +
      `Give the same command again.`,
  );
}

/**
 * The settings of a run to resume, with those that were given.
 * @throws ConfigError or UsageError if they would make it another run
 */
function goOn(before: Checkpoint, flags: Flags): Config {
  const { overrides, labels } = flags.settings();
  const preset = flags.raw(options.preset);
  if (preset !== undefined) {
    const of = ({ name, flag }: (typeof settings)[number]) =>
      [name, labels[name] ?? `${flag} of ${preset.label} ${preset.text}`] as const;
    checkSame(before, flags.config(preset.text), Object.fromEntries(settings.map(of)));
  }
  if (before.input?.includes("-") && !flags.has(options.input)) {
    throw new UsageError(
      `The run to resume was trained on standard input; give it the same text again, with ` +
        `${before.input.map((word) => `--input ${shellQuote(word)}`).join(" ")}.`,
    );
  }
  const wanted = { ...overrides, ...wholeStep(flags.text(options.preset), overrides) };
  return resumedConfig(before, wanted, {
    num_steps: "--steps",
    patience: "--patience",
    ...labels,
  });
}

async function train(
  training: Training,
  report: TrainReport,
  folder: RunFolder,
  interrupt: Interrupt,
  keeper: Keeper,
  done: Before,
): Promise<void> {
  const { signal } = interrupt;
  report.start(training.start);
  let startedAt = performance.now();
  let { tokens } = done;
  let skipped = 0;
  let stopped: EndEvent["stopped"];
  let found: Pick<EndEvent, "val_loss" | "bits_per_byte"> = { val_loss: null, bits_per_byte: null };
  let seconds: number;
  try {
    try {
      await keeper.begin(signal).catch((error: unknown) => {
        if (error !== signal.reason) throw error;
      });
      startedAt = performance.now();
      for await (const event of training.run(signal)) {
        if (event.type === "save") {
          if (await keeper.save()) report.checkpoint(folder.path, event);
          continue;
        }
        if (event.type === "look") {
          report.look(event);
          continue;
        }
        if (event.type === "stop") {
          report.stop(event);
          stopped = event.reason;
          continue;
        }
        keeper.add(event);
        if (event.type === "eval") {
          found = { val_loss: event.val_loss, bits_per_byte: event.bits_per_byte };
          report.evaluation(event);
          await keeper.keepBest(event);
        } else {
          ({ tokens } = event);
          if (event.skipped) skipped++;
          report.step(event);
        }
      }
    } finally {
      report.endSteps();
    }
    seconds = (performance.now() - startedAt) / 1000;
    await keeper.finish(); // before the samples, which can be had again
  } catch (error) {
    keeper.fail();
    throw error;
  }

  const { step } = training;
  // Without a step there is nothing worth the place of a model that may be there.
  if (keeper.hasSaved) report.saved(folder.path, step);
  try {
    for await (const event of training.write({ signal })) report.sample(event);
  } finally {
    report.endSamples();
  }
  report.end({
    type: "end",
    steps: step,
    seconds,
    tokens_per_s: (tokens - done.tokens) / seconds,
    ...found,
    best: bestOf(training),
    model_dir: keeper.hasSaved ? folder.path : null,
    ...(isHalf(training.start.config.dtype) ? { skipped } : {}),
    ...(stopped === undefined ? {} : { stopped }),
    ...(interrupt.code === 0 ? {} : { interrupted: true }),
  });
}

function bestOf(training: Training): EndEvent["best"] {
  const { best } = training;
  if (best === null) return null;
  const { step, val_loss } = best;
  return { step, val_loss, bits_per_byte: training.bitsPerByte(val_loss) };
}

if (import.meta.main) await run(main);
