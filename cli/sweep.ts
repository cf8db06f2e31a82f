// Trains a model for every combination of settings, many at once, and saves the best one.
//
//   npm run sweep -- --lr 0.003,0.01,0.03 --seed 1..64

import { Sweep, sweepFormat } from "../src/training/sweep.ts";
import { tuningModes } from "../src/tuning/tune.ts";
import { command } from "./command.ts";
import { readText } from "./files.ts";
import { Interrupt } from "./interrupt.ts";
import { prepareFolder, saveModel } from "./model_dir.ts";
import * as options from "./options.ts";
import { tuningProgress } from "./progress.ts";
import { EXIT_FAILED, type Output, run } from "./run.ts";
import { sweepable, sweepConfigs } from "./sweep_lists.ts";
import { humanReport, jsonReport, type SweepReport } from "./sweep_report.ts";

const lists = options.settingOptions(...sweepable.map(({ name }) => name)).map((option) => ({
  ...option,
  value: option.value === undefined ? undefined : "LIST",
}));

const description = {
  name: "sweep",
  summary:
    "Trains a model for every combination of settings and saves the best one. A LIST is one value, values " +
    "with commas (0.003,0.01,0.03), or a range (1..64, or 0.01..0.05..0.01 with a step).",
  options: [
    options.input,
    options.output,
    options.device,
    options.preset,
    options.tuning,
    ...lists,
  ],
};

export const main = command(description, async (flags, io) => {
  const { configs, varied } = sweepConfigs(flags, flags.text(options.preset));
  const device = flags.choice(options.device, options.devices);
  const mode = flags.choice(options.tuning, tuningModes);
  const folder = flags.text(options.output);
  const { corpus, source } = await readText(flags.text(options.input), io, sweepFormat(configs));
  prepareFolder(folder);

  const interrupt = new Interrupt(io);
  try {
    const { signal } = interrupt;
    const tuning = { mode, signal, progress: tuningProgress(io.stderr) };
    const sweep = await Sweep.open({ configs, documents: corpus, device, tuning });
    const report = flags.has(options.json)
      ? jsonReport(io.stdout, varied)
      : humanReport(io.stdout, source, varied);
    try {
      const saved = await train(sweep, report, folder, interrupt, io.stderr);
      return interrupt.code || (saved ? 0 : EXIT_FAILED);
    } finally {
      sweep.close();
    }
  } finally {
    interrupt.close();
  }
});

/** True if there was a model to save. Where one of them fails, the best of those before it is saved all the same. */
async function train(
  sweep: Sweep,
  report: SweepReport,
  folder: string,
  interrupt: Interrupt,
  stderr: Output,
): Promise<boolean> {
  report.start(sweep.start);
  const startedAt = performance.now();
  try {
    for await (const event of sweep.run(interrupt.signal)) {
      if (event.type === "model") report.model(event);
      else report.progress(event);
    }
  } catch (error) {
    if (sweep.best) {
      saveModel(folder, sweep.best.model);
      const { index } = sweep.best.outcome;
      stderr.write(`The best model so far, model ${index + 1}, is saved in ${folder}.\n`);
    }
    throw error;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const { best, models, model_steps } = sweep;
  if (best) saveModel(folder, best.model);
  report.end({
    type: "end",
    models,
    model_steps,
    seconds,
    model_steps_per_s: model_steps / seconds,
    best: best?.outcome.index ?? null,
    model_dir: best ? folder : null,
    ...(interrupt.code === 0 ? {} : { interrupted: true }),
  });
  return best !== undefined;
}

if (import.meta.main) await run(main);
