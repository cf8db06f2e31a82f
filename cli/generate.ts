// Writes texts with a saved model.
//
//   npm run generate -- --model-dir output --num-samples 20 --temperature 0.5 --seed 42
//   npm run generate -- --model-dir output --interactive

import type { Generator, SamplingOptions } from "../src/generation/from_model.ts";
import { textsTogether } from "../src/generation/generate.ts";
import { command } from "./command.ts";
import { dialogue } from "./dialogue.ts";
import { loadBest, loadModel } from "../src/files/model_dir.node.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import { deviceOptions, openGenerator } from "./open_generator.ts";
import * as options from "./options.ts";
import { promptOf } from "./prompt.ts";
import { type Io, run } from "./run.ts";
import { SamplePrinter } from "./samples.ts";
import { samplingIn, samplingOptions } from "./sampling.ts";

const interactive: options.Option = {
  flag: "interactive",
  env: [],
  help: "a prompt a line, and for each a text, or as many as --num-samples says; quit, exit, q or Ctrl-D ends it",
};

const logprobs: options.Option = {
  flag: "logprobs",
  env: [],
  value: "N",
  help: "with --json: every token with its log-probability, and those of the N likeliest at its place",
};

const description = {
  name: "generate",
  summary: "Prints texts that a saved model writes.",
  options: [
    options.modelDir,
    options.best,
    options.prompt,
    options.promptFile,
    interactive,
    ...deviceOptions,
    logprobs,
    ...samplingOptions(),
  ],
};

/** What ends --interactive. */
const ends = ["quit", "exit", "q"];

export const main = command(description, async (flags, io) => {
  const sampling = { ...samplingIn(flags), ...logprobsIn(flags) };
  const asks = flags.has(interactive);
  const prompts = [options.prompt, options.promptFile];
  const given = flags.written(prompts);
  if (asks && given !== undefined) {
    throw new UsageError(
      `${given} says what every text begins with, and --interactive asks for it; leave one of them out.`,
    );
  }
  const prompt = asks ? undefined : promptOf(flags);
  const folder = flags.text(options.modelDir);
  const model = flags.has(options.best) ? loadBest(folder) : loadModel(folder);

  const { num_samples = asks ? 1 : sampling.num_samples } = flags.settings().overrides;
  const num_slots = textsTogether(model.config, num_samples);
  const generator = await openGenerator(flags, model, io, { num_slots });
  if (generator.fallback !== null) {
    io.stderr.write(`The CPU writes the texts: ${generator.fallback}\n`);
  }
  const writer = new Writer(generator, flags.has(options.json), io);
  try {
    if (asks) return await writer.ask({ ...sampling, num_samples });
    await writer.write({ ...sampling, prompt });
  } finally {
    generator.close();
  }
  return 0;
});

/** @throws UsageError where there is no JSON to tell them in */
function logprobsIn(flags: Flags): Pick<SamplingOptions, "logprobs"> {
  const number = flags.integer(logprobs, 0);
  if (number === undefined || flags.has(options.json)) return { logprobs: number };
  throw new UsageError(`--logprobs is told in JSON alone; add --json, or leave it out.`);
}

class Writer {
  private readonly generator: Generator;
  private readonly json: boolean;
  private readonly io: Io;
  /** Notes that were told. */
  private readonly told = new Set<string>();

  constructor(generator: Generator, json: boolean, io: Io) {
    this.generator = generator;
    this.json = json;
    this.io = io;
  }

  async write(sampling: SamplingOptions): Promise<void> {
    const { stdout, stderr } = this.io;
    for (const note of this.generator.notes(sampling)) {
      if (!this.told.has(note)) stderr.write(`${note}\n`);
      this.told.add(note);
    }
    const printer = new SamplePrinter(stdout);
    for await (const event of this.generator.write(sampling)) {
      if (!this.json) printer.print(event);
      else if (event.type === "sample") stdout.write(`${JSON.stringify(event)}\n`);
    }
    printer.end();
  }

  /** Texts for each line: the first as its prompt alone would have them, and each with random numbers of its own. */
  ask(sampling: SamplingOptions): Promise<number> {
    let { seed } = sampling;
    const { num_samples = 1 } = sampling;
    return dialogue(this.io, {
      prompt: "> ",
      welcome: `Write what a text begins with; ${ends.join(", ")} or Ctrl-D ends this, Ctrl-C stops a text.`,
      json: this.json,
      respond: async (prompt, signal) => {
        if (ends.includes(prompt.trim())) return false;
        await this.write({ ...sampling, prompt, seed, signal });
        seed += num_samples;
        return true;
      },
    });
  }
}

if (import.meta.main) await run(main);
