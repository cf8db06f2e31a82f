// Trains a model, saves it, and shows what it writes.
//
//   npm run train -- --input names.txt --output output --steps 1000

import { Training } from "../src/training/train.ts";
import { tuningModes } from "../src/tuning/tune.ts";
import { command } from "./command.ts";
import { readDocuments } from "./files.ts";
import { Interrupt } from "./interrupt.ts";
import { prepareFolder, saveModel } from "./model_dir.ts";
import * as options from "./options.ts";
import { run } from "./run.ts";
import { tuningProgress } from "./progress.ts";
import { humanReport, jsonReport, type TrainReport } from "./train_report.ts";

const description = {
  name: "train",
  summary: "Trains a GPT on a text file, by lines or as one text, saves it and prints samples.",
  options: [
    options.input,
    options.output,
    options.device,
    options.preset,
    options.tuning,
    ...options.settingOptions(),
  ],
};

export const main = command(description, async (flags, io) => {
  const config = flags.config(flags.text(options.preset));
  const device = flags.choice(options.device, options.devices);
  const mode = flags.choice(options.tuning, tuningModes);
  const folder = flags.text(options.output);
  const { documents, source } = await readDocuments(flags.text(options.input), io, config.format);
  prepareFolder(folder);

  const interrupt = new Interrupt(io);
  try {
    const { signal } = interrupt;
    const tuning = { mode, signal, progress: tuningProgress(io.stderr) };
    const training = await Training.open({ config, documents, device, tuning });
    const report = flags.has(options.json)
      ? jsonReport(io.stdout, config.log_every)
      : humanReport(io.stdout, source);
    try {
      await train(training, report, folder, interrupt);
    } finally {
      training.close();
    }
    return interrupt.code;
  } finally {
    interrupt.close();
  }
});

async function train(
  training: Training,
  report: TrainReport,
  folder: string,
  interrupt: Interrupt,
): Promise<void> {
  report.start(training.start);
  const startedAt = performance.now();
  let tokens = 0;
  let skipped = 0;
  let val_loss: number | null = null;
  try {
    for await (const event of training.run(interrupt.signal)) {
      if (event.type === "eval") {
        ({ val_loss } = event);
        report.evaluation(event);
      } else {
        ({ tokens } = event);
        if (event.skipped) skipped++;
        report.step(event);
      }
    }
  } finally {
    report.endSteps();
  }
  const seconds = (performance.now() - startedAt) / 1000;

  // Saved before the samples, which can be had again. Without a step there is nothing worth the place
  // of a model that may be there.
  const { step } = training;
  if (step > 0) {
    saveModel(folder, await training.model());
    report.saved(folder, step);
  }
  for await (const sample of training.samples(interrupt.signal)) report.sample(sample);
  report.end({
    type: "end",
    steps: step,
    seconds,
    tokens_per_s: tokens / seconds,
    val_loss,
    model_dir: step > 0 ? folder : null,
    ...(training.start.config.dtype === "f16" ? { skipped } : {}),
    ...(interrupt.code === 0 ? {} : { interrupted: true }),
  });
}

if (import.meta.main) await run(main);
