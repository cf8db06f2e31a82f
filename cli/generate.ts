// Writes texts with a saved model.
//
//   npm run generate -- --model-dir output --num-samples 20 --temperature 0.5 --seed 42

import { Generator } from "../src/generation/from_model.ts";
import { command } from "./command.ts";
import { loadBest, loadModel } from "../src/files/model_dir.node.ts";
import * as options from "./options.ts";
import { prepareProgress } from "./progress.ts";
import { promptOf } from "./prompt.ts";
import { run } from "./run.ts";
import { SamplePrinter } from "./samples.ts";

const description = {
  name: "generate",
  summary: "Prints texts that a saved model writes.",
  options: [
    options.modelDir,
    options.best,
    options.prompt,
    options.promptFile,
    options.device,
    ...options.settingOptions("num_samples", "temperature", "top_k", "max_tokens", "seed"),
  ],
};

export const main = command(description, async (flags, io) => {
  const { num_samples, temperature, top_k, max_tokens, seed } = flags.config("microgpt");
  const prompt = promptOf(flags);
  const device = flags.choice(options.device, options.devices);
  const folder = flags.text(options.modelDir);
  const model = flags.has(options.best) ? loadBest(folder) : loadModel(folder);

  const generator = await Generator.open(model, device, prepareProgress(io.stderr));
  if (generator.fallback !== null) {
    io.stderr.write(`The CPU writes the texts: ${generator.fallback}\n`);
  }
  const sampling = { num_samples, temperature, top_k, max_tokens, seed, prompt };
  const json = flags.has(options.json);
  const printer = new SamplePrinter(io.stdout);
  try {
    for (const note of generator.notes(sampling)) io.stderr.write(`${note}\n`);
    for await (const event of generator.write(sampling)) {
      if (!json) printer.print(event);
      else if (event.type === "sample") io.stdout.write(`${JSON.stringify(event)}\n`);
    }
  } finally {
    generator.close();
  }
  return 0;
});

if (import.meta.main) await run(main);
