// Trains a model for every combination of settings, many at once, and saves the best one.
//
//   npm run sweep -- --lr 0.003,0.01,0.03 --seed 1..64

import { Sweep } from "../src/training/sweep.ts";
import { sweepReading, sweepTokenizer } from "../src/training/sweep_text.ts";
import { tuningModes } from "../src/tuning/tune.ts";
import { command } from "./command.ts";
import { askedIn, readText } from "./files.ts";
import type { Flags } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { saveModel } from "../src/files/model_dir.node.ts";
import * as options from "./options.ts";
import { prepareProgress } from "./progress.ts";
import { EXIT_FAILED, type Io, type Output, run } from "./run.ts";
import { RunFolder, saveAtLast } from "./run_folder.ts";
import { sweepable, sweepConfigs } from "./sweep_lists.ts";
import { tokenizerOf } from "./tokenizer_file.ts";
import { humanReport, jsonReport, type SweepReport } from "./sweep_report.ts";

const lists = options.settingOptions(...sweepable.map(({ name }) => name)).map((option) => ({
  ...option,
  value: option.value === undefined || option.value === "TEXT" ? option.value : "LIST",
}));

/** Between two saves of the best model so far. */
const SAVE_MS = 60_000;

const description = {
  name: "sweep",
  summary:
    "Trains a model for every combination of settings and saves the best one. A LIST is one value, values " +
    "with commas (0.003,0.01,0.03), or a range (1..64, or 0.01..0.05..0.01 with a step).",
  options: [
    ...options.text,
    options.output,
    options.overwrite,
    options.device,
    options.preset,
    options.size,
    options.configFile,
    options.chat,
    options.tuning,
    ...lists,
  ],
};

export const main = command(description, (flags, io) =>
  Interrupt.during(io, (interrupt) => sweepAll(flags, io, interrupt)),
);

async function sweepAll(flags: Flags, io: Io, interrupt: Interrupt): Promise<number> {
  const { configs, varied } = sweepConfigs(flags, flags.text(options.preset));
  const device = flags.choice(options.device, options.devices);
  const mode = flags.choice(options.tuning, tuningModes);
  const path = flags.text(options.output);
  const { signal } = interrupt;
  sweepTokenizer(configs); // one for all of them: a list is no file's name
  const { corpus, found } = await readText(
    { ...(await askedIn(flags)), signal },
    io,
    sweepReading(configs),
  );

  const folder = await RunFolder.open(path, flags.has(options.overwrite) ? "replace" : "keep");
  try {
    const tuning = { mode, signal };
    const progress = prepareProgress(io.stderr);
    const sweep = await Sweep.open({
      configs,
      documents: corpus,
      device,
      tokenizer: tokenizerOf(flags),
      tuning,
      progress,
    });
    const report = flags.has(options.json)
      ? jsonReport(io.stdout, varied)
      : humanReport(io.stdout, found, varied);
    const saved = await train(sweep, report, folder, interrupt, io.stderr);
    return interrupt.code || (saved ? 0 : EXIT_FAILED);
  } finally {
    folder.close();
  }
}

/**
 * True if there was a model to save. The best one is saved as it comes, so that a sweep that is killed leaves it; where
 * one of them fails, the best of those before it is saved all the same.
 */
async function train(
  sweep: Sweep,
  report: SweepReport,
  folder: RunFolder,
  interrupt: Interrupt,
  stderr: Output,
): Promise<boolean> {
  report.start(sweep.start);
  const startedAt = performance.now();
  let savedAt = startedAt;
  let saved = -1; // the model that is in the folder
  const save = () => {
    const { best } = sweep;
    if (best === undefined || best.outcome.index === saved) return;
    const aside = folder.saveModel(best.model);
    if (aside !== null) stderr.write(`The model that was in ${folder.path} is now in ${aside}.\n`);
    saved = best.outcome.index;
  };
  const saveBest = () =>
    saveAtLast((elsewhere) =>
      elsewhere === undefined ? save() : saveModel(elsewhere, sweep.best!.model),
    );
  try {
    for await (const event of sweep.run(interrupt.signal)) {
      if (event.type === "model") report.model(event);
      else report.progress(event);
      if (performance.now() - savedAt < SAVE_MS) continue;
      savedAt = performance.now();
      try {
        save();
      } catch (error) {
        stderr.write(
          `warning: ${(error as Error).message} The sweep goes on, and tries it again.\n`,
        );
      }
    }
  } catch (error) {
    saveBest();
    if (sweep.best) {
      const { index } = sweep.best.outcome;
      stderr.write(`The best model so far, model ${index + 1}, is saved in ${folder.path}.\n`);
    }
    throw error;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const { best, models, model_steps } = sweep;
  let refused: unknown;
  try {
    saveBest();
  } catch (error) {
    refused = error; // told after the results
  }
  report.end({
    type: "end",
    models,
    model_steps,
    seconds,
    model_steps_per_s: model_steps / seconds,
    best: best?.outcome.index ?? null,
    model_dir: best && refused === undefined ? folder.path : null,
    ...(interrupt.code === 0 ? {} : { interrupted: true }),
  });
  if (refused !== undefined) throw refused;
  return best !== undefined;
}

if (import.meta.main) await run(main);
